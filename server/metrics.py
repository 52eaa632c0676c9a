"""The metrics of a replica, all in one place. vLLM's own are exported with them, from its registry."""

from collections.abc import Iterable

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import Metric

from patchbay.core.loop_metrics import LoopMetrics

# It shows activity, not residency, and gains a label set for every combination of adapters ever seen.
_EXCLUDED = "vllm:lora_requests_info"


class _VllmMetrics:
    """vLLM's metrics, without the one whose labels grow without bound."""

    def collect(self) -> Iterable[Metric]:
        return (metric for metric in REGISTRY.collect() if metric.name != _EXCLUDED)


class ServerMetrics:
    """The metrics of one replica, prefix `patchbay_server_`. Labels: endpoint (of a fixed few), outcome, tier."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "patchbay_server_requests",
            "Requests, by endpoint and outcome.",
            ["endpoint", "outcome"],
            registry=self._registry,
        )
        self.in_flight = Gauge("patchbay_server_in_flight", "Requests being answered.", registry=self._registry)
        self._add_adapters()
        self._add_failures()
        self.loop = LoopMetrics("patchbay_server", self._registry)
        self._registry.register(_VllmMetrics())

    def _add_adapters(self) -> None:
        self.adapters = Gauge(
            "patchbay_server_adapters",
            "Revisions, by the nearest memory that holds them.",
            ["tier"],
            registry=self._registry,
        )
        self.load_seconds = Histogram(
            "patchbay_server_adapter_load_seconds",
            "Time to load a revision into the engine.",
            buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30),
            registry=self._registry,
        )
        self.evictions = Counter(
            "patchbay_server_adapter_evictions", "Revisions evicted to make room for others.", registry=self._registry
        )
        self.removals = Counter(
            "patchbay_server_adapter_removals", "Revisions removed for good.", registry=self._registry
        )
        self.reloads = Counter(
            "patchbay_server_adapter_reloads",
            "Loads of what was evicted less than a minute before: places are too few.",
            registry=self._registry,
        )
        self.staging_seconds = Histogram(
            "patchbay_server_adapter_staging_seconds",
            "Time to fetch a revision's files and to check them.",
            buckets=(0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300),
            registry=self._registry,
        )

    def _add_failures(self) -> None:
        self.load_failures = Counter(
            "patchbay_server_adapter_load_failures", "Loads that the engine refused.", registry=self._registry
        )
        self.not_finite = Counter(
            "patchbay_server_not_finite",
            "Requests that ended because their logits were not finite, by what answered.",
            ["of"],
            registry=self._registry,
        )
        self.parity = Counter(
            "patchbay_server_adapter_parity",
            "Revisions compared with what their trainer had, by verdict: passed, unproven, or what differs.",
            ["verdict"],
            registry=self._registry,
        )
        self.quarantines = Counter(
            "patchbay_server_adapter_quarantines",
            "Revisions that are not served any more because their logits were not finite.",
            registry=self._registry,
        )
        self.refusals = Counter(
            "patchbay_server_adapter_refusals",
            "Revisions that were refused, by reason.",
            ["reason"],
            registry=self._registry,
        )

    def render(self) -> bytes:
        """Returns all metrics in Prometheus' text format, version 0.0.4."""
        return generate_latest(self._registry)
