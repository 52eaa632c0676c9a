"""The admin port: health, metrics, the registry and the canaries over HTTP."""
