"""Metrics of the router, in Prometheus' form.

Besides this module only `answer_metrics`, `registry_metrics` and `loop_metrics`, which are held here, import
prometheus_client.
"""

from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import choose_encoder

from patchbay.core.loop_metrics import LoopMetrics
from patchbay.router.fleet.snapshot import ReplicaState, Target
from patchbay.router.telemetry.answer_metrics import DEFAULT_SERIES, AnswerMetrics
from patchbay.router.telemetry.registry_metrics import RegistryMetrics
from patchbay.router.telemetry.request_record import Outcome

_STATES: tuple[ReplicaState, ...] = ("ready", "unready", "draining")
# Cause of an ejection: failures or 500s in a row, or a higher rate of failures than the peers have.
EjectionCause = Literal["failures", "errors", "rate"]
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """Metrics of this router, in a Prometheus registry of their own.

    No label ever carries a client's own text: `model` is the name of a known adapter or base, or empty. `answers`: the
    metrics of answers, for `series` sets of labels; `registry`: those of the model registry and of the placements that
    it asks for; `loop`: those of the event loop.
    """

    def __init__(self, series: int = DEFAULT_SERIES) -> None:
        self._registry = registry = CollectorRegistry()
        self.answers = AnswerMetrics(series)
        registry.register(self.answers)
        self.loop = LoopMetrics("patchbay_router", registry)
        self._requests = Counter(
            "patchbay_router_requests",
            "Requests answered. outcome: ok, client_error (4xx), server_error (5xx), broken (cut short), cancelled.",
            ("endpoint", "outcome", "model"),
            registry=registry,
        )
        self._in_flight = Gauge("patchbay_router_requests_in_flight", "Requests being answered.", registry=registry)
        self._failures = Counter(
            "patchbay_router_upstream_failures",
            "Attempts at a replica that failed. kind: connect, disconnect, timeout, protocol, refused, gateway (502,"
            " 503, 504), error (500), busy, limited (429).",
            ("replica", "kind"),
            registry=registry,
        )
        self._first_byte = Histogram(
            "patchbay_router_first_byte_seconds",
            "Time from a request's head to the first byte of its answer.",
            ("endpoint",),
            buckets=_SECONDS,
            registry=registry,
        )
        self._replicas = Gauge("patchbay_router_replicas", "Replicas by state.", ("state",), registry=registry)
        self._bytes = Counter(
            "patchbay_router_body_bytes",
            "Bytes of bodies read from clients (in) and sent to them (out).",
            ("direction",),
            registry=registry,
        )
        self._carried = Counter(
            "patchbay_router_streams_carried",
            "Streams whose replica died. outcome: whole (another went on with it), broken (the client was told).",
            ("outcome",),
            registry=registry,
        )
        # Finding a label's counter costs more than counting, and these are counted for every request.
        self._counted_requests = cache(self._requests.labels)
        self._timed_endpoints = cache(self._first_byte.labels)
        self._bytes_in, self._bytes_out = self._bytes.labels("in"), self._bytes.labels("out")
        self._add_faults(registry)
        self._add_requests(registry)
        self.registry = RegistryMetrics(registry)
        self._add_canaries(registry)
        self._faults = Counter(
            "patchbay_router_faults", "Errors that nobody expected; see the log.", ("where",), registry=registry
        )

    def _add_faults(self, registry: CollectorRegistry) -> None:
        self._retries_refused = Counter(
            "patchbay_router_retries_refused",
            "Tries on another replica that the budget did not allow.",
            registry=registry,
        )
        self._shed = Counter(
            "patchbay_router_connections_shed",
            "Clients' connections that were closed for want of file descriptors: idle ones, and new ones.",
            ("how",),
            registry=registry,
        )
        self._lines_dropped = Counter(
            "patchbay_router_log_lines_dropped",
            "Lines of the log that were dropped, since nobody read it.",
            registry=registry,
        )
        self._hedges = Counter(
            "patchbay_router_hedges", "Requests for which a second replica was asked as well.", registry=registry
        )
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
        self._without_tier = Gauge(
            "patchbay_router_tenants_without_tier",
            "Tenants that are refused, since the configuration does not have their tier.",
            registry=registry,
        )

    def _add_requests(self, registry: CollectorRegistry) -> None:
        self._waits = Histogram(
            "patchbay_router_wait_seconds",
            "Time that requests waited for their turn.",
            buckets=_SECONDS,
            registry=registry,
        )
        self._waiting = Gauge("patchbay_router_queue_depth", "Requests that wait for their turn.", registry=registry)
        self._tokens = Counter(
            "patchbay_router_tokens",
            "Tokens of prompts and answers. kind: prompt, answer.",
            ("model", "kind"),
            registry=registry,
        )
        self._fallbacks = Counter(
            "patchbay_router_fallbacks", "Requests that went on to another route.", ("route",), registry=registry
        )
        self._cached = Counter(
            "patchbay_router_cache",
            "Requests of routes with a cache. outcome: hit, miss, offline.",
            ("outcome",),
            registry=registry,
        )
        self._shadows = Counter(
            "patchbay_router_shadows",
            "Copies of requests to a shadow. outcome: kept, failed, no_room.",
            ("route", "outcome"),
            registry=registry,
        )
        self._verdicts = Counter(
            "patchbay_router_guard_verdicts",
            "What guards found. side: input, output; action: block, redact, mask, flag, route.",
            ("guard", "kind", "action", "side"),
            registry=registry,
        )
        self._counted_tokens = cache(self._tokens.labels)
        self._votes = Counter(
            "patchbay_router_feedback",
            "Votes on answers. vote: up, down.",
            ("model", "revision", "arm", "vote"),
            registry=registry,
        )

    def _add_canaries(self, registry: CollectorRegistry) -> None:
        self._canary_events = Counter(
            "patchbay_router_canary_events",
            "Requests of canaries and of what they are compared with (event: request), and what was bad of them.",
            ("installation", "router", "canary", "revision", "arm", "share", "event"),
            registry=registry,
        )
        self._own_labels = ("", "")
        self._info = Gauge(
            "patchbay_router_info",
            "1, with the id of the installation and the name in the registry of this router.",
            ("installation", "router"),
            registry=registry,
        )
        self._canary_weight = Gauge(
            "patchbay_router_canary_weight", "Percent of callers.", ("adapter", "revision"), registry=registry
        )
        self._canary_verdict = Gauge(
            "patchbay_router_canary_verdict",
            "Of the last canary: 1 promoted, 0 undecided, -1 rolled back or failed.",
            ("adapter", "revision"),
            registry=registry,
        )
        self._canary_evidence = Gauge(
            "patchbay_router_canary_evidence",
            "Evidence that the canary is worse, as a share of what would roll it back (logarithms).",
            ("adapter", "revision", "metric"),
            registry=registry,
        )
        self._last_canary: dict[str, str] = {}
        self._evidence_of: dict[tuple[str, str], tuple[str, ...]] = {}
        self._canary_alone = Counter(
            "patchbay_router_canary_alone",
            "Requests that went to a pool that is tried, or was, because no replica of another pool was there.",
            ("pool",),
            registry=registry,
        )
        self._canary_blind = Gauge(
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

    def canary(self, adapter: str, revision: str, weight: float, verdict: int) -> None:
        """Notes the state of an adapter's, or a pool's, last canary.

        `weight`: percent of callers; `verdict`: 1 promoted, 0 undecided, -1 rolled back or failed.
        """
        before = self._last_canary.get(adapter)
        if before not in (None, revision):
            self._drop_canary(adapter, before)
        self._last_canary[adapter] = revision
        self._canary_weight.labels(adapter, revision).set(weight)
        self._canary_verdict.labels(adapter, revision).set(verdict)

    def _drop_canary(self, adapter: str, revision: str) -> None:
        self._canary_weight.remove(adapter, revision)
        self._canary_verdict.remove(adapter, revision)
        for metric in self._evidence_of.pop((adapter, revision), ()):
            self._canary_evidence.remove(adapter, revision, metric)

    def canary_evidence(self, adapter: str, revision: str, evidence: Mapping[str, float]) -> None:
        """Notes the evidence against a canary, by metric, as a share of what rolls it back: 1 does."""
        self._evidence_of[adapter, revision] = tuple(evidence)
        for metric, share in evidence.items():
            self._canary_evidence.labels(adapter, revision, metric).set(share)

    def canary_blind(self, blind: bool) -> None:
        """Notes whether there is no data to judge canaries by, though there should be."""
        self._canary_blind.set(blind)

    def canary_alone(self, pool: str) -> None:
        """Counts a request that goes to a pool that is kept from it, because there is no other."""
        self._canary_alone.labels(pool).inc()

    def canary_event(self, canary: int, revision: str, arm: str, share: float, event: str) -> None:
        """Counts a request of a canary, or something that was bad about it.

        `canary`: its number; `arm`: the request's; `share`: the canary's when the request was assigned; `event`:
        `request`, or the metric by which it was bad.
        """
        self._canary_events.labels(*self._own_labels, str(canary), revision, arm, f"{share:g}", event).inc()

    def forget_canary(self, canary: int) -> None:
        """Drops the counts of a canary that has ended."""
        for labels in self._canary_label_sets():
            if labels[2] == str(canary):
                self._canary_events.remove(*labels)

    def _canary_label_sets(self) -> list[tuple[str, ...]]:
        sample_lists = [metric.samples for metric in self._canary_events.collect()]
        names = ("installation", "router", "canary", "revision", "arm", "share", "event")
        return [
            tuple(sample.labels[name] for name in names)
            for samples in sample_lists
            for sample in samples
            if sample.name.endswith("_total")
        ]

    def watch_in_flight(self, count: Callable[[], int]) -> None:
        """Sets the source of the requests in flight: `count` is called whenever the metrics are read."""
        self._in_flight.set_function(count)

    def watch_replicas(self, count: Callable[[ReplicaState], int]) -> None:
        """Sets the source of the replicas in each state: `count` is called whenever the metrics are read."""
        for state in _STATES:
            self._replicas.labels(state).set_function(partial(count, state))

    def request(self, endpoint: str, outcome: Outcome, model: str) -> None:
        """Counts a request that has ended."""
        self._counted_requests(endpoint, outcome, model).inc()

    def first_byte(self, endpoint: str, seconds: float) -> None:
        """Observes a client's wait for the first byte of its answer."""
        self._timed_endpoints(endpoint).observe(seconds)

    def bytes_passed(self, read: int, sent: int) -> None:
        """Counts the bytes of a request's body and of its answer's."""
        self._bytes_in.inc(read)
        self._bytes_out.inc(sent)

    def upstream_failure(self, replica: str, kind: str) -> None:
        """Counts a failed attempt at a replica. `kind`: of the `ReplicaFailure`."""
        self._failures.labels(replica, kind).inc()

    def carried(self, outcome: Literal["whole", "broken"]) -> None:
        """Counts a stream whose replica died, once it has ended."""
        self._carried.labels(outcome).inc()

    def connection_shed(self, how: Literal["idle", "refused"]) -> None:
        """Counts a client's connection that was closed for want of file descriptors."""
        self._shed.labels(how).inc()

    def log_line_dropped(self) -> None:
        """Counts a line of the log that was dropped."""
        self._lines_dropped.inc()

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

    def watch_waiting(self, count: Callable[[], int]) -> None:
        """Sets the source of the requests that wait: `count` is called whenever the metrics are read."""
        self._waiting.set_function(count)

    def watch_tenants_without_tier(self, count: Callable[[], int]) -> None:
        """Takes the tenants whose tier is unknown from `count` whenever the metrics are read."""
        self._without_tier.set_function(count)

    def waited(self, seconds: float) -> None:
        """Observes a request's wait for its turn."""
        self._waits.observe(seconds)

    def tokens(self, model: str, prompt: int, answer: int) -> None:
        """Counts a call's tokens."""
        if prompt or answer:
            self._counted_tokens(model, "prompt").inc(prompt)
            self._counted_tokens(model, "answer").inc(answer)

    def cached(self, outcome: Literal["hit", "miss", "offline"]) -> None:
        """Counts a request of a route with a cache."""
        self._cached.labels(outcome).inc()

    def shadowed(self, route: str, outcome: Literal["kept", "failed", "no_room"]) -> None:
        """Counts a copy to a shadow."""
        self._shadows.labels(route, outcome).inc()

    def fell_back(self, route: str) -> None:
        """Counts a request that went on to another route."""
        self._fallbacks.labels(route).inc()

    def verdict(self, guard: str, kind: str, action: str, side: str, count: int) -> None:
        """Counts findings of a guard. `guard`, `kind`, `action` and `side` are words of the configuration."""
        self._verdicts.labels(guard, kind, action, side).inc(count)

    def vote(self, target: Target, vote: Literal["up", "down"]) -> None:
        """Counts a vote on an answer of `target`."""
        self._votes.labels(target.label, target.revision or "", target.arm, vote).inc()

    def fault(self, where: str) -> None:
        """Counts an error that nobody expected."""
        self._faults.labels(where).inc()

    def render(self, accept: str = "") -> bytes:
        """Returns all metrics, in the form that `exposition` chooses for the header `accept`."""
        return self.exposition(accept)[0]

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """Returns all metrics and their content type: OpenMetrics where the header `accept` asks for that, else
        Prometheus' text format, which has no exemplars."""
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type
