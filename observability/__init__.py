"""The Grafana dashboards over Patchbay's metrics, as code: `python -m observability` writes deploy/observability."""
