"""Metrics of the router's process: errors that nobody expected, and what it gave up for want of something."""

from typing import Literal

from prometheus_client import CollectorRegistry, Counter


class ProcessMetrics:
    """Metrics of one router's process. `registry`: the Prometheus registry to keep them in."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._faults = Counter(
            "patchbay_router_faults", "Errors that nobody expected; see the log.", ("where",), registry=registry
        )
        self._shed = Counter(
            "patchbay_router_connections_shed",
            "Clients' connections that were closed for want of file descriptors: idle ones, and fresh ones.",
            ("how",),
            registry=registry,
        )
        self._lines_dropped = Counter(
            "patchbay_router_log_lines_dropped",
            "Lines of the log that were dropped, since nobody read it.",
            registry=registry,
        )

    def fault(self, where: str) -> None:
        """Counts an error that nobody expected."""
        self._faults.labels(where).inc()

    def connection_shed(self, how: Literal["idle", "refused"]) -> None:
        """Counts a client's connection that was closed for want of file descriptors."""
        self._shed.labels(how).inc()

    def log_line_dropped(self) -> None:
        """Counts a line of the log that was dropped."""
        self._lines_dropped.inc()
