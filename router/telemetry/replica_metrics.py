"""Metrics of replicas as this router sees them: their states, their failures, and what is done about those."""

from collections.abc import Callable
from functools import partial
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge

from patchbay.router.fleet.snapshot import ReplicaState

_STATES: tuple[ReplicaState, ...] = ("ready", "unready", "draining")
# Cause of an ejection: failures or 500s in a row, or a higher rate of failures than the peers have.
EjectionCause = Literal["failures", "errors", "rate"]


class ReplicaMetrics:
    """Metrics of attempts at replicas. `registry`: the Prometheus registry to keep them in."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._replicas = Gauge("patchbay_router_replicas", "Replicas by state.", ("state",), registry=registry)
        self._failures = Counter(
            "patchbay_router_upstream_failures",
            "Attempts at a replica that failed. kind: connect, disconnect, timeout, protocol, refused, gateway (502,"
            " 503, 504), error (500), busy, limited (429).",
            ("replica", "kind"),
            registry=registry,
        )
        self._carried = Counter(
            "patchbay_router_streams_carried",
            "Streams whose replica died. outcome: whole (another went on with it), broken (the client was told).",
            ("outcome",),
            registry=registry,
        )
        self._retries_refused = Counter(
            "patchbay_router_retries_refused",
            "Tries on another replica that the budget did not allow.",
            registry=registry,
        )
        self._hedges = Counter(
            "patchbay_router_hedges", "Requests for which a second replica was asked as well.", registry=registry
        )
        self._add_holds(registry)

    def _add_holds(self, registry: CollectorRegistry) -> None:
        self._circuits = Counter(
            "patchbay_router_circuits_opened",
            "Times that a replica was left alone. cause: failures (in a row), errors (500s in a row), rate (beside its"
            " peers).",
            ("replica", "cause"),
            registry=registry,
        )
        self._suspected = Counter(
            "patchbay_router_queries_suspected",
            "Times that a kind of request was held off, since replicas died under it one after the other.",
            ("model",),
            registry=registry,
        )
        self._held = Counter(
            "patchbay_router_queries_held",
            "Requests refused since their kind was held off.",
            ("model",),
            registry=registry,
        )

    def watch_states(self, count: Callable[[ReplicaState], int]) -> None:
        """Sets the source of the replicas in each state: `count` is called whenever the metrics are read."""
        for state in _STATES:
            self._replicas.labels(state).set_function(partial(count, state))

    def failed(self, replica: str, kind: str) -> None:
        """Counts a failed attempt at a replica. `kind`: of the `ReplicaFailure`."""
        self._failures.labels(replica, kind).inc()

    def carried(self, outcome: Literal["whole", "broken"]) -> None:
        """Counts a stream whose replica died, once it has ended."""
        self._carried.labels(outcome).inc()

    def retry_refused(self) -> None:
        """Counts a try on another replica that the budget did not allow."""
        self._retries_refused.inc()

    def hedged(self) -> None:
        """Counts a request for which a second replica is asked as well."""
        self._hedges.inc()

    def circuit_opened(self, replica: str, cause: EjectionCause) -> None:
        """Counts an ejection of a replica."""
        self._circuits.labels(replica, cause).inc()

    def query_suspected(self, model: str) -> None:
        """Counts a kind of request that is held off from now on."""
        self._suspected.labels(model).inc()

    def query_held(self, model: str) -> None:
        """Counts a request that was refused since its kind is held off."""
        self._held.labels(model).inc()
