"""Metrics of guards: what they found."""

from prometheus_client import CollectorRegistry, Counter


class GuardMetrics:
    """Metrics of guards' findings. `registry`: the Prometheus registry to keep them in."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._verdicts = Counter(
            "patchbay_router_guard_verdicts",
            "What guards found. side: input, output; action: block, redact, mask, flag, route.",
            ("guard", "kind", "action", "side"),
            registry=registry,
        )

    def verdict(self, guard: str, kind: str, action: str, side: str, count: int) -> None:
        """Counts findings of a guard. `guard`, `kind`, `action` and `side` are words of the configuration."""
        self._verdicts.labels(guard, kind, action, side).inc(count)
