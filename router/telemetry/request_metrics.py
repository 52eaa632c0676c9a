"""Metrics of requests: how many end how, what they read and send, and which turns they take on their way."""

from collections.abc import Callable
from functools import cache
from typing import Final, Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from patchbay.router.fleet.snapshot import Target
from patchbay.router.telemetry.request_record import Outcome
from patchbay.router.telemetry.tally import CounterTallies, HistogramTallies, Tally

SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class RequestMetrics:
    """Metrics of clients' requests. `registry`: the Prometheus registry to keep them in."""

    def __init__(self, registry: CollectorRegistry) -> None:
        tallies = self._tallies = CounterTallies()
        registry.register(tallies)
        self._requests = Counter(
            "patchbay_router_requests",
            "Requests answered. outcome: ok, client_error (4xx), server_error (5xx), broken (cut short), cancelled.",
            ("endpoint", "outcome", "model"),
            registry=registry,
        )
        self._in_flight = Gauge("patchbay_router_requests_in_flight", "Requests being answered.", registry=registry)
        self._first_byte = Histogram(
            "patchbay_router_first_byte_seconds",
            "Time from a request's head to the first byte of its answer.",
            ("endpoint",),
            buckets=SECONDS,
            registry=None,
        )
        timed = HistogramTallies(self._first_byte, SECONDS)
        registry.register(timed)
        self._bytes = Counter(
            "patchbay_router_body_bytes",
            "Bytes of bodies read from clients (in) and sent to them (out).",
            ("direction",),
            registry=registry,
        )
        self._tokens = Counter(
            "patchbay_router_tokens",
            "Tokens of prompts and answers. kind: prompt, answer.",
            ("model", "kind"),
            registry=registry,
        )
        # Finding a label's counter costs more than counting, and these are counted for every request.
        self._counted_requests = cache(lambda *labels: tallies.of(self._requests.labels(*labels)))
        self._timed_endpoints = cache(timed.of)
        self._counted_tokens = cache(self._tallies_of_tokens)
        self._bytes_in, self._bytes_out = tallies.of(self._bytes.labels("in")), tallies.of(self._bytes.labels("out"))
        self._add_turns(registry)

    def _add_turns(self, registry: CollectorRegistry) -> None:
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
        self._votes = Counter(
            "patchbay_router_feedback",
            "Votes on answers. vote: up, down.",
            ("model", "revision", "arm", "vote"),
            registry=registry,
        )

    def watch_in_flight(self, count: Callable[[], int]) -> None:
        """Sets the source of the requests in flight: `count` is called whenever the metrics are read."""
        self._in_flight.set_function(count)

    def ended(self, endpoint: str, outcome: Outcome, model: str) -> None:
        """Counts a request that has ended."""
        self._counted_requests(endpoint, outcome, model).total += 1

    def first_byte(self, endpoint: str, seconds: float) -> None:
        """Observes a client's wait for the first byte of its answer."""
        self._timed_endpoints(endpoint).observe(seconds)

    def bytes_passed(self, read: int, sent: int) -> None:
        """Counts the bytes of a request's body and of its answer's."""
        self._bytes_in.total += read
        self._bytes_out.total += sent

    def tokens(self, model: str, prompt: int, answer: int) -> None:
        """Counts a call's tokens."""
        if prompt or answer:
            prompts, answers = self._counted_tokens(model)
            prompts.total += prompt
            answers.total += answer

    def _tallies_of_tokens(self, model: str) -> tuple[Tally, Tally]:
        labels, of = self._tokens.labels, self._tallies.of
        return of(labels(model, "prompt")), of(labels(model, "answer"))

    def fell_back(self, route: str) -> None:
        """Counts a request that went on to another route."""
        self._fallbacks.labels(route).inc()

    def cached(self, outcome: Literal["hit", "miss", "offline"]) -> None:
        """Counts a request of a route with a cache."""
        self._cached.labels(outcome).inc()

    def shadowed(self, route: str, outcome: Literal["kept", "failed", "no_room"]) -> None:
        """Counts a copy to a shadow."""
        self._shadows.labels(route, outcome).inc()

    def vote(self, target: Target, vote: Literal["up", "down"]) -> None:
        """Counts a vote on an answer of `target`."""
        self._votes.labels(target.label, target.revision or "", target.arm, vote).inc()
