"""Metrics of admission: how long requests wait for their turn, and which tenants get none."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Gauge, Histogram

from patchbay.router.telemetry.request_metrics import SECONDS
from patchbay.router.telemetry.tally import HistogramTallies


class AdmissionMetrics:
    """Metrics of turns and tenants. `registry`: the Prometheus registry to keep them in."""

    def __init__(self, registry: CollectorRegistry) -> None:
        waits = HistogramTallies(
            Histogram(
                "patchbay_router_wait_seconds",
                "Time that requests waited for their turn.",
                buckets=SECONDS,
                registry=None,
            ),
            SECONDS,
        )
        registry.register(waits)
        self._waits = waits.of()
        self._waiting = Gauge("patchbay_router_queue_depth", "Requests that wait for their turn.", registry=registry)
        self._without_tier = Gauge(
            "patchbay_router_tenants_without_tier",
            "Tenants that are refused, since the configuration does not have their tier.",
            registry=registry,
        )

    def watch_waiting(self, count: Callable[[], int]) -> None:
        """Sets the source of the requests that wait: `count` is called whenever the metrics are read."""
        self._waiting.set_function(count)

    def watch_tenants_without_tier(self, count: Callable[[], int]) -> None:
        """Takes the tenants whose tier is unknown from `count` whenever the metrics are read."""
        self._without_tier.set_function(count)

    def waited(self, seconds: float) -> None:
        """Observes a request's wait for its turn."""
        self._waits.observe(seconds)
