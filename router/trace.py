"""The trace that a request belongs to. Pure but for the random numbers.

Source: W3C Trace Context, https://www.w3.org/TR/trace-context/ (version 00).
"""

import random
import re
from collections.abc import Iterable

from adapters.asgi import header

TRACEPARENT = b"traceparent"
# Of a later version only the part that this one knows is read, as the specification has it.
_PARENT = re.compile(
    rb"(?!ff)[0-9a-f]{2}-(?P<trace>(?!0{32})[0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-(?P<flags>[0-9a-f]{2})(?:-.*)?"
)


def trace_of(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The trace that the client's `headers` name with its flags, as `TRACE-FLAGS`, or a new one that nobody samples."""
    given = header(headers, TRACEPARENT)
    match = _PARENT.fullmatch(given) if given is not None else None
    if match is None:
        return b"%032x-00" % (random.getrandbits(128) or 1)
    # The flags that version 00 knows: sampled, and random trace id.
    return b"%b-%02x" % (match["trace"], int(match["flags"], 16) & 0x03)


def span(trace: bytes) -> bytes:
    """A `traceparent` with a new span of `trace`."""
    name, flags = trace.split(b"-")
    return b"00-%b-%016x-%b" % (name, random.getrandbits(64) or 1, flags)
