"""Metrics of canaries: their weights, verdicts and evidence, and what their requests came to."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge

_EVENT_LABELS = ("installation", "router", "canary", "revision", "arm", "share", "event")


class CanaryMetrics:
    """Metrics of the canaries of this router, and of the name that other routers know it by.

    `registry`: the Prometheus registry to keep them in.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._events = Counter(
            "patchbay_router_canary_events",
            "Requests of canaries and of what they are compared with (event: request), and what was bad of them.",
            _EVENT_LABELS,
            registry=registry,
        )
        self._own_labels = ("", "")
        self._info = Gauge(
            "patchbay_router_info",
            "1, with the id of the installation and the name in the registry of this router.",
            ("installation", "router"),
            registry=registry,
        )
        self._alone = Counter(
            "patchbay_router_canary_alone",
            "Requests that went to a pool that is tried, or was, because no replica of another pool was there.",
            ("pool",),
            registry=registry,
        )
        self._last: dict[str, str] = {}
        self._evidence_of: dict[tuple[str, str], tuple[str, ...]] = {}
        self._add_states(registry)

    def _add_states(self, registry: CollectorRegistry) -> None:
        self._weight = Gauge(
            "patchbay_router_canary_weight", "Percent of callers.", ("adapter", "revision"), registry=registry
        )
        self._verdict = Gauge(
            "patchbay_router_canary_verdict",
            "Of the last canary: 1 promoted, 0 undecided, -1 rolled back or failed.",
            ("adapter", "revision"),
            registry=registry,
        )
        self._evidence = Gauge(
            "patchbay_router_canary_evidence",
            "Evidence that the canary is worse, as a share of what would roll it back (logarithms).",
            ("adapter", "revision", "metric"),
            registry=registry,
        )
        self._blind = Gauge(
            "patchbay_router_canary_blind",
            "Whether there is no data to judge canaries by, though there should be: 1 or 0.",
            registry=registry,
        )

    def known_as(self, installation: str, router: str) -> None:
        """Notes the installation (the registry's id) that this router belongs to, and its name there."""
        if self._own_labels != (installation, router):
            self._info.clear()
            self._own_labels = installation, router
            self._info.labels(installation, router).set(1)

    def stands(self, adapter: str, revision: str, weight: float, verdict: int) -> None:
        """Notes the state of an adapter's, or a pool's, last canary.

        `weight`: percent of callers; `verdict`: 1 promoted, 0 undecided, -1 rolled back or failed.
        """
        before = self._last.get(adapter)
        if before not in (None, revision):
            self._drop(adapter, before)
        self._last[adapter] = revision
        self._weight.labels(adapter, revision).set(weight)
        self._verdict.labels(adapter, revision).set(verdict)

    def _drop(self, adapter: str, revision: str) -> None:
        self._weight.remove(adapter, revision)
        self._verdict.remove(adapter, revision)
        for metric in self._evidence_of.pop((adapter, revision), ()):
            self._evidence.remove(adapter, revision, metric)

    def evidence(self, adapter: str, revision: str, evidence: Mapping[str, float]) -> None:
        """Notes the evidence against a canary, by metric, as a share of what rolls it back: 1 does."""
        self._evidence_of[adapter, revision] = tuple(evidence)
        for metric, share in evidence.items():
            self._evidence.labels(adapter, revision, metric).set(share)

    def blind(self, blind: bool) -> None:
        """Notes whether there is no data to judge canaries by, though there should be."""
        self._blind.set(blind)

    def alone(self, pool: str) -> None:
        """Counts a request that goes to a pool that is kept from it, because there is no other."""
        self._alone.labels(pool).inc()

    def event(self, canary: int, revision: str, arm: str, share: float, event: str) -> None:
        """Counts a request of a canary, or something that was bad about it.

        `canary`: its number; `arm`: the request's; `share`: the canary's when the request was assigned; `event`:
        `request`, or the metric by which it was bad.
        """
        self._events.labels(*self._own_labels, str(canary), revision, arm, f"{share:g}", event).inc()

    def forget(self, canary: int) -> None:
        """Drops the counts of a canary that has ended."""
        for labels in self._label_sets():
            if labels[2] == str(canary):
                self._events.remove(*labels)

    def _label_sets(self) -> list[tuple[str, ...]]:
        sample_lists = [metric.samples for metric in self._events.collect()]
        return [
            tuple(sample.labels[name] for name in _EVENT_LABELS)
            for samples in sample_lists
            for sample in samples
            if sample.name.endswith("_total")
        ]
