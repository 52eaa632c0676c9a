"""Metrics of responses that clients asked to have kept."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

NotKept = Literal["masked", "not_whole", "unreadable", "too_large", "taken", "full", "unavailable", "late", "busy"]
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)


class ResponseMetrics:
    """Metrics of kept responses. `registry`: the Prometheus registry to keep them in."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._kept = Counter(
            "patchbay_router_responses",
            "Responses that were to be kept, by outcome: kept, or why not: masked, not_whole, unreadable, too_large, "
            "taken, full, unavailable, late, busy.",
            ("outcome",),
            registry=registry,
        )
        self._seconds = Histogram(
            "patchbay_router_response_keep_seconds",
            "Time that the end of an answer waited for the registry to keep it.",
            buckets=_SECONDS,
            registry=registry,
        )
        self._waiting = Gauge(
            "patchbay_router_responses_waiting", "Responses that wait to be written to the registry.", registry=registry
        )
        self._purged = Counter(
            "patchbay_router_responses_purged", "Responses that were deleted since they had expired.", registry=registry
        )

    @contextmanager
    def keeping(self) -> Iterator[None]:
        """Times a response that is being kept, in the block."""
        began_s = perf_counter()
        try:
            yield
        finally:
            self._seconds.observe(perf_counter() - began_s)

    def kept(self) -> None:
        """Counts a response that is kept."""
        self._kept.labels("kept").inc()

    def not_kept(self, why: NotKept) -> None:
        """Counts a response that was to be kept and is not."""
        self._kept.labels(why).inc()

    def purged(self, count: int) -> None:
        """Counts responses that were deleted since they had expired."""
        self._purged.inc(count)

    def watch_waiting(self, count: Callable[[], int]) -> None:
        """Sets the source of the number of responses that wait: `count`, called whenever metrics are read."""
        self._waiting.set_function(count)
