"""Trace context of a request: the trace that it belongs to, and the router's own span. Pure but for random numbers.

Source: W3C Trace Context, https://www.w3.org/TR/trace-context/ (version 00).
"""

import random
import re
from collections.abc import Iterable

import msgspec

from patchbay.core.asgi import header

TRACEPARENT = b"traceparent"
_SAMPLED = 0x01
# The flags that version 00 knows: sampled, and random trace id.
_KNOWN_FLAGS = 0x03
# Of a later version only the part that this one knows is read, as the specification has it.
_PARENT = re.compile(
    rb"(?!ff)[0-9a-f]{2}-(?P<trace>(?!0{32})[0-9a-f]{32})-(?P<span>(?!0{16})[0-9a-f]{16})-(?P<flags>[0-9a-f]{2})(?:-.*)?"
)


class TraceSpan(msgspec.Struct, frozen=True, kw_only=True):
    """Span of the router's work on one request. `trace`, `id` and `parent`: hexadecimal; `parent` is the client's
    span, empty where it named none; `flags`: of the trace, as in `traceparent`."""

    trace: bytes
    id: bytes
    parent: bytes = b""
    flags: int = 0

    @property
    def sampled(self) -> bool:
        """Whether this trace is recorded."""
        return bool(self.flags & _SAMPLED)

    @property
    def traceparent(self) -> bytes:
        """The header that makes the replica's spans children of this one."""
        return b"00-%b-%b-%02x" % (self.trace, self.id, self.flags)


def begin_span(headers: Iterable[tuple[bytes, bytes]], sample: float = 0) -> TraceSpan:
    """Begins a span in the trace that the client's `headers` name, sampled where the client samples. Without such a
    trace a new one begins, which is sampled with the probability `sample`, 0 to 1."""
    client = header(headers, TRACEPARENT)
    match = _PARENT.fullmatch(client) if client is not None else None
    own = b"%016x" % (random.getrandbits(64) or 1)
    if match is not None:
        return TraceSpan(
            trace=match["trace"], id=own, parent=match["span"], flags=int(match["flags"], 16) & _KNOWN_FLAGS
        )
    flags = _SAMPLED if sample and random.random() < sample else 0  # noqa: S311 - no secret
    return TraceSpan(trace=b"%032x" % (random.getrandbits(128) or 1), id=own, flags=flags)
