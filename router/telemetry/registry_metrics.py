"""Metrics of the model registry, and of the placements on replicas that it asks for."""

from collections import Counter as Counts
from collections.abc import Callable, Iterable, Mapping
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge

_PLACEMENT_STATES = ("pending", "staged", "resident", "failed")


class RegistryMetrics:
    """Metrics of the model registry that this router follows. `registry`: the Prometheus registry to keep them in."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._generation = Gauge(
            "patchbay_router_registry_generation", "Generation of the registry that is routed by.", registry=registry
        )
        self._reachable = Gauge(
            "patchbay_router_registry_up", "Whether the registry answered the last look: 1 or 0.", registry=registry
        )
        self._seen = Gauge(
            "patchbay_router_registry_age_seconds",
            "Seconds since the registry last answered: what is routed by is as old as that.",
            registry=registry,
        )
        self._spooled = Gauge(
            "patchbay_router_usage_spooled",
            "Files with usage of routers that have ended, which lie in this router's spool and are not counted yet.",
            registry=registry,
        )
        self._leads = Gauge(
            "patchbay_router_reconciling", "Whether this router reconciles the replicas: 1 or 0.", registry=registry
        )
        self._add_control(registry)

    def _add_control(self, registry: CollectorRegistry) -> None:
        self._rollouts = Counter(
            "patchbay_router_rollouts", "Rollouts ended here. outcome: done, failed.", ("outcome",), registry=registry
        )
        self._placements = Gauge(
            "patchbay_router_placements",
            "Revisions on replicas that this router reconciles, by state: pending, staged, resident, failed.",
            ("state",),
            registry=registry,
        )
        self._asked = Counter(
            "patchbay_router_placement_calls",
            "What replicas were asked for, by outcome: put, refused, removed.",
            ("outcome",),
            registry=registry,
        )
        self._removals_held = Gauge(
            "patchbay_router_removals_held",
            "Removals of revisions that are held back, since the registry does not say why they should go.",
            registry=registry,
        )
        self._refusals = Counter(
            "patchbay_router_push_refusals", "Pushes that were refused, by reason.", ("reason",), registry=registry
        )
        self._expiries = Gauge(
            "patchbay_router_adapter_expiry_seconds",
            "Unix time after which a revision that a channel means is not promoted any more; none where it has no end.",
            ("adapter", "revision"),
            registry=registry,
        )
        self._expiring: frozenset[tuple[str, str]] = frozenset()

    def generation(self, generation: int) -> None:
        """Notes the generation of the registry snapshot that routing uses now."""
        self._generation.set(generation)

    def expiries(self, ends: Mapping[tuple[str, str], float]) -> None:
        """Notes when revisions in channels expire. `ends`: Unix time by adapter and revision. Others are dropped."""
        for gone in self._expiring - ends.keys():
            self._expiries.remove(*gone)
        for labels, end in ends.items():
            self._expiries.labels(*labels).set(end)
        self._expiring = frozenset(ends)

    def reachable(self, reachable: bool) -> None:
        """Notes whether the registry answers."""
        self._reachable.set(reachable)

    def watch_age(self, age_s: Callable[[], float]) -> None:
        """Sets the source of the time since the registry last answered: `age_s`, called whenever metrics are read."""
        self._seen.set_function(age_s)

    def watch_spooled(self, count: Callable[[], int]) -> None:
        """Sets the source of the number of spooled usage files: `count`, called whenever metrics are read. It may
        block."""
        self._spooled.set_function(count)

    def removals_held(self, count: int) -> None:
        """Notes how many removals are held back."""
        self._removals_held.set(count)

    def leads(self, leading: bool) -> None:
        """Notes whether this router reconciles."""
        self._leads.set(leading)

    def rollout(self, outcome: Literal["done", "failed"]) -> None:
        """Counts a rollout that has ended."""
        self._rollouts.labels(outcome).inc()

    def placements(self, states: Iterable[str]) -> None:
        """Notes the placements of revisions on replicas. `states`: one for each placement."""
        counts = Counts(states)
        for state in _PLACEMENT_STATES:
            self._placements.labels(state).set(counts[state])

    def placement(self, outcome: Literal["put", "refused", "removed"]) -> None:
        """Counts an answer of a replica that was asked to take or to remove a revision."""
        self._asked.labels(outcome).inc()

    def refusal(self, reason: str) -> None:
        """Counts a push that was refused. `reason`: one of the gate's few words."""
        self._refusals.labels(reason).inc()
