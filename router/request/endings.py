"""End of a request: its metrics, its span and its line in the access log."""

from collections.abc import Callable

from patchbay.router.forward.exchange import Exchange
from patchbay.router.http.endpoints import HEALTH
from patchbay.router.telemetry.access_log import AccessLog
from patchbay.router.telemetry.metrics import Metrics
from patchbay.router.telemetry.request_record import RequestRecord
from patchbay.router.telemetry.tracing import Tracer


class Endings:
    """Reporter of requests that have ended. `clock`: seconds, monotonic; `tracer`, `access`: None where no traces, or
    no access log, are wanted."""

    def __init__(
        self, metrics: Metrics, clock: Callable[[], float], tracer: Tracer | None, access: AccessLog | None
    ) -> None:
        self._metrics = metrics
        self._clock = clock
        self._tracer = tracer
        self._access = access

    def ended(self, exchange: Exchange) -> None:
        """Reports a request that has ended, with an answer or without."""
        metrics, endpoint = self._metrics, exchange.asked.endpoint
        metrics.requests.ended(endpoint.name, exchange.result.outcome, exchange.answerer.label)
        metrics.requests.bytes_passed(exchange.read_bytes, exchange.relay.sent_bytes)
        tracer = self._tracer if exchange.arrival.span.sampled else None
        told = endpoint is not HEALTH and (tracer is not None or self._access is not None)
        if not endpoint.forwarded and not told:
            return
        one = answered(exchange, self._clock())
        if endpoint.forwarded:
            metrics.answers.note(one)
        if told and tracer is not None:
            tracer.tell(one)
        if told and self._access is not None:
            self._access.tell(one, exchange.head.beginning if exchange.head is not None else None)


def answered(exchange: Exchange, now_s: float) -> RequestRecord:
    """Makes the record of `exchange`, which ended at `now_s`, by the router's clock."""
    arrival, answerer, result = exchange.arrival, exchange.answerer, exchange.result
    target, used = answerer.target, result.used
    ttft_s, token_s = _times(exchange, now_s)
    return RequestRecord(
        id=arrival.id,
        span=arrival.span,
        endpoint=exchange.asked.endpoint.name,
        outcome=result.outcome,
        status=exchange.relay.status,
        seconds=now_s - arrival.started_s,
        # A model name that means nothing is the client's own text, which no log may hold.
        model=exchange.head.model if target is not None and exchange.head is not None else "",
        route=answerer.route,
        adapter=answerer.label,
        revision=(target.revision or "") if target is not None else "",
        arm=target.arm if target is not None else "",
        replica=answerer.replica,
        cached=result.cached,
        ttft_s=ttft_s,
        token_s=token_s,
        prompt_tokens=used.prompt,
        answer_tokens=used.answer,
        cost=result.cost,
        refused="refusals" in result.bad,
        schema_failed="schema" in result.bad,
    )


def _times(exchange: Exchange, now_s: float) -> tuple[float | None, float | None]:
    """Returns the time to a stream's first byte, and the time per token after the first, in seconds."""
    result = exchange.result
    began_s = result.began_s
    if began_s is None or not exchange.relay.event_stream:
        return None, None
    more = result.used.answer - 1
    per_token_s = (now_s - began_s) / more if result.outcome == "ok" and more > 0 else None
    return began_s - exchange.arrival.started_s, per_token_s
