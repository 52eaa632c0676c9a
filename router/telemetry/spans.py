"""Spans on their way to a collector, by OpenTelemetry's SDK, which nothing else imports.

A span is made when its request has ended, from what is known then, with the ids that the replica was told when it
began: so a request that nobody traces costs nothing, and one that somebody does nothing before its answer is out.

Source of the names: OpenTelemetry's semantic conventions for generative AI spans,
https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/.
"""

import threading
import time
from collections.abc import Mapping
from importlib.metadata import version
from types import MappingProxyType
from urllib.parse import urlsplit

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from patchbay.core.thread_pools import Threads
from patchbay.router.telemetry.request_record import RequestRecord

_WAITING_SPANS = 4096
_BATCH = 512
_EVERY_MS = 2000
_EXPORT_S = 5
_LAST_WORDS_S = 5.0
_OPERATIONS: Mapping[str, str] = MappingProxyType(
    {
        "chat_completions": "chat",
        "responses": "chat",
        "messages": "chat",
        "completions": "text_completion",
        "embeddings": "embeddings",
    }
)
_Attributes = dict[str, str | int | float]


class Spans:
    """Sends the spans of the router at `url` to `endpoint`, with `headers`: its thread does, every two seconds."""

    def __init__(self, endpoint: str, headers: Mapping[str, str], url: str) -> None:
        exporter = OTLPSpanExporter(endpoint, headers=headers, timeout=_EXPORT_S)
        self._processor = BatchSpanProcessor(
            exporter, max_queue_size=_WAITING_SPANS, schedule_delay_millis=_EVERY_MS, max_export_batch_size=_BATCH
        )
        here, own = urlsplit(url), version("patchbay")
        self._server: _Attributes = {"server.address": here.hostname or "", "server.port": here.port or 0}
        self._resource = Resource.create({"service.name": "patchbay-router", "service.version": own})
        self._scope = InstrumentationScope("patchbay.router", own)

    def tell(self, one: RequestRecord) -> None:
        """Makes a span of a request whose trace is kept. Never waits; beyond 4096 that wait the oldest are lost."""
        end_ns = time.time_ns()
        span, failed = one.span, one.outcome in ("server_error", "broken")
        self._processor.on_end(
            ReadableSpan(
                name_of(one),
                _context(span.trace, span.id, span.flags),
                _context(span.trace, span.parent, span.flags, remote=True) if span.parent else None,
                self._resource,
                attributes_of(one) | self._server,
                kind=SpanKind.SERVER,
                status=Status(StatusCode.ERROR if failed else StatusCode.UNSET),
                start_time=end_ns - int(one.seconds * 1e9),
                end_time=end_ns,
                instrumentation_scope=self._scope,
            )
        )

    async def close(self) -> None:
        """Sends what there is, for five seconds at most, and ends."""
        # A collector that does not answer must not hold up the end, so the thread may be left behind.
        ending = threading.Thread(target=self._processor.shutdown, name="last spans", daemon=True)
        ending.start()
        await Threads("last spans", 1).run(ending.join, _LAST_WORDS_S)


def _context(trace: bytes, span: bytes, flags: int, *, remote: bool = False) -> SpanContext:
    return SpanContext(int(trace, 16), int(span, 16), is_remote=remote, trace_flags=TraceFlags(flags))


def name_of(one: RequestRecord) -> str:
    """What a request's span is called."""
    operation = _OPERATIONS.get(one.endpoint)
    return f"{operation} {one.model}".rstrip() if operation is not None else one.endpoint


def attributes_of(one: RequestRecord) -> _Attributes:
    """What a request's span tells: who asked for what, and who answered; no text of either."""
    operation = _OPERATIONS.get(one.endpoint)
    told: Mapping[str, str | int | float | None] = {
        "gen_ai.operation.name": operation,
        "gen_ai.provider.name": operation and "patchbay",
        "gen_ai.request.model": one.model,
        "gen_ai.response.model": (one.revision or one.adapter) if one.replica else None,
        "gen_ai.usage.input_tokens": one.prompt_tokens,
        "gen_ai.usage.output_tokens": one.answer_tokens,
        "http.response.status_code": one.status,
        "error.type": one.outcome if one.outcome not in ("ok", "cancelled") else None,
        "patchbay.request_id": one.id.decode(),
        "patchbay.outcome": one.outcome,
        "patchbay.route": one.route,
        "patchbay.adapter": one.adapter,
        "patchbay.revision": one.revision,
        "patchbay.arm": one.arm,
        "patchbay.replica": one.replica,
        "patchbay.ttft_seconds": one.ttft_s,
    }
    return {name: value for name, value in told.items() if value}
