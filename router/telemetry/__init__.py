"""Metrics, traces and logs of the router."""
