"""The load tests against a running Patchbay. Everything here talks to loopback only, and is bounded in time."""
