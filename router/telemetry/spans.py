"""Export of spans to a collector, by OpenTelemetry's SDK, which no other module imports.

A span is made when its request has ended, from what is known then, with the ids that the replica was sent at the
beginning. So a request without a trace costs nothing, and one with a trace nothing before its answer is out.

Source of the names: OpenTelemetry's semantic conventions for generative AI spans,
https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/.
"""

import threading
import time
from collections.abc import Mapping
from types import MappingProxyType
from urllib.parse import urlsplit

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from patchbay.core.distribution import own_version
from patchbay.core.thread_pools import Threads
from patchbay.router.telemetry.request_record import RequestRecord

_MAX_QUEUED = 4096
_MAX_BATCH = 512
_EXPORT_INTERVAL_MS = 2000
_EXPORT_TIMEOUT_S = 5
_FLUSH_S = 5.0
_OPERATIONS: Mapping[str, str] = MappingProxyType(
    {
        "chat_completions": "chat",
        "responses": "chat",
        "messages": "chat",
        "completions": "text_completion",
        "embeddings": "embeddings",
        "score": "score",
        "rerank": "rerank",
    }
)
_Attributes = dict[str, str | int | float]


class Spans:
    """Exporter of spans. A thread sends them in batches, every two seconds.

    `endpoint`: the collector's URL for traces; `headers`: sent along; `url`: where the router listens.
    """

    def __init__(self, endpoint: str, headers: Mapping[str, str], url: str) -> None:
        exporter = OTLPSpanExporter(endpoint, headers=headers, timeout=_EXPORT_TIMEOUT_S)
        self._processor = BatchSpanProcessor(
            exporter,
            max_queue_size=_MAX_QUEUED,
            schedule_delay_millis=_EXPORT_INTERVAL_MS,
            max_export_batch_size=_MAX_BATCH,
        )
        parts, version = urlsplit(url), own_version()
        self._server: _Attributes = {"server.address": parts.hostname or "", "server.port": parts.port or 0}
        self._resource = Resource.create({"service.name": "patchbay-router", "service.version": version})
        self._scope = InstrumentationScope("patchbay.router", version)

    def tell(self, record: RequestRecord) -> None:
        """Makes a span of a request whose trace is recorded. Never waits; of more than 4096 in the queue the oldest are
        lost."""
        end_ns = time.time_ns()
        span, failed = record.span, record.outcome in ("server_error", "broken")
        self._processor.on_end(
            ReadableSpan(
                name_of(record),
                _context(span.trace, span.id, span.flags),
                _context(span.trace, span.parent, span.flags, remote=True) if span.parent else None,
                self._resource,
                attributes_of(record) | self._server,
                kind=SpanKind.SERVER,
                status=Status(StatusCode.ERROR if failed else StatusCode.UNSET),
                start_time=end_ns - int(record.seconds * 1e9),
                end_time=end_ns,
                instrumentation_scope=self._scope,
            )
        )

    async def close(self) -> None:
        """Sends the remaining spans, for five seconds at most, and ends the export."""
        # A collector that does not answer must not delay the process's end, so the thread may be left behind.
        flush = threading.Thread(target=self._processor.shutdown, name="last spans", daemon=True)
        flush.start()
        await Threads("last spans", 1).run(flush.join, _FLUSH_S)


def _context(trace: bytes, span: bytes, flags: int, *, remote: bool = False) -> SpanContext:
    return SpanContext(int(trace, 16), int(span, 16), is_remote=remote, trace_flags=TraceFlags(flags))


def name_of(record: RequestRecord) -> str:
    """Returns the name of a request's span."""
    operation = _OPERATIONS.get(record.endpoint)
    return f"{operation} {record.model}".rstrip() if operation is not None else record.endpoint


def attributes_of(record: RequestRecord) -> _Attributes:
    """Returns the attributes of a request's span: who asked for what, and who answered. No text of either."""
    operation = _OPERATIONS.get(record.endpoint)
    attributes: Mapping[str, str | int | float | None] = {
        "gen_ai.operation.name": operation,
        "gen_ai.provider.name": operation and "patchbay",
        "gen_ai.request.model": record.model,
        "gen_ai.response.model": (record.revision or record.adapter) if record.replica else None,
        "gen_ai.usage.input_tokens": record.prompt_tokens,
        "gen_ai.usage.output_tokens": record.answer_tokens,
        "http.response.status_code": record.status,
        "error.type": record.outcome if record.outcome not in ("ok", "cancelled") else None,
        "patchbay.request_id": record.id.decode(),
        "patchbay.outcome": record.outcome,
        "patchbay.route": record.route,
        "patchbay.adapter": record.adapter,
        "patchbay.revision": record.revision,
        "patchbay.arm": record.arm,
        "patchbay.replica": record.replica,
        "patchbay.ttft_seconds": record.ttft_s,
    }
    return {name: value for name, value in attributes.items() if value}
