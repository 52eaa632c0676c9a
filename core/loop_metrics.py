"""The metrics of a process's event loop and garbage collector, the same for routers and replicas."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from patchbay.core.loop_watch import Longest

_LATE_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
_PAUSE_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1)
_GENERATIONS = ("0", "1", "2")


class LoopMetrics:
    """A `LoopMeter` that records in `registry`, as metrics whose names begin with `prefix`."""

    def __init__(self, prefix: str, registry: CollectorRegistry) -> None:
        self._late = Histogram(
            f"{prefix}_event_loop_lag_seconds",
            "How late the event loop comes to a timer that is due every 20 ms: what everything on it waits for.",
            buckets=_LATE_S,
            registry=registry,
        )
        self._longest = Longest()
        Gauge(
            f"{prefix}_event_loop_longest_turn_seconds",
            "The largest lag of the last one to two minutes: the longest time that the event loop was held.",
            registry=registry,
        ).set_function(lambda: self._longest.value)
        self._held = Counter(
            f"{prefix}_event_loop_held",
            "Times that work on the event loop held it for over 100 ms.",
            registry=registry,
        )
        pauses = Histogram(
            f"{prefix}_gc_pause_seconds",
            "Pauses for Python's garbage collector. generation: 2 looks at all objects that are not frozen.",
            ("generation",),
            buckets=_PAUSE_S,
            registry=registry,
        )
        self._pauses = [pauses.labels(generation) for generation in _GENERATIONS]

    def late(self, seconds: float) -> None:
        """Records the lag of a timer."""
        self._late.observe(seconds)
        self._longest.note(seconds)

    def held(self) -> None:
        """Counts a time that work on the loop held it for over 100 ms."""
        self._held.inc()

    def collected(self, generation: int, seconds: float) -> None:
        """Records a pause of the garbage collector."""
        self._pauses[generation].observe(seconds)
