"""Which headers cross the router. Pure.

Source: RFC 9110, section 7.6.1: a proxy drops `Connection`, all that it names, and the other hop-by-hop fields.
"""

import random
import re
from collections.abc import Iterable

from patchbay.core.asgi import Headers, header
from patchbay.core.errors import InvalidRequest
from patchbay.router.fleet.snapshot import Target
from patchbay.router.http.trace_context import TRACEPARENT

REQUEST_ID = b"x-request-id"
# Tells a replica the exact revision, whatever the body's model says: which one a name means is the router's to say.
REVISION = b"x-patchbay-revision"
# How long a client, and so a replica, has for an answer: whole milliseconds.
DEADLINE = b"x-patchbay-timeout-ms"
# How soon a replica is to run a request beside others: its tier's priority, where that is not 0.
PRIORITY = b"x-patchbay-priority"
# Asks why an answer came from where it did: `1`.
EXPLAIN = b"x-patchbay-explain"
# Asks for guards' verdicts in an answer's body: `1`.
VERDICTS = b"x-patchbay-content-filter"
# A replica's word that it has not got the revision that it was told.
MISSING = b"x-patchbay-missing"
_HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
# A client's credentials are for the router, and its lengths, encodings and expectations are for this hop.
_NOT_UPSTREAM = _HOP_BY_HOP | {
    b"accept-encoding",
    b"authorization",
    b"content-length",
    b"expect",
    b"host",
    b"x-api-key",
    REQUEST_ID,
    TRACEPARENT,
}
_NOT_DOWNSTREAM = _HOP_BY_HOP | {b"date", b"server", REQUEST_ID, TRACEPARENT}
_OURS = b"x-patchbay-"
_UNSAFE = re.compile(rb"[^\x20-\x7e]")
_MILLISECONDS = re.compile(rb"[1-9]\d{0,9}")
_SANE_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")


def request_id(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The client's own id for this request if it is harmless to log and to pass on, a new one otherwise."""
    given = header(headers, REQUEST_ID)
    if given is not None and _SANE_ID.fullmatch(given):
        return given
    # An id and no secret, so it need not cost a system call.
    return b"req-%032x" % random.getrandbits(128)


def upstream_headers(headers: Headers, request_id: bytes, authorization: bytes | None) -> Headers:
    """What a replica is sent of the client's `headers`, with its own `authorization` in place of the client's key.

    Answers are asked for uncompressed, so that an error can be added to a stream that breaks.
    """
    dropped = _dropped(_NOT_UPSTREAM, headers)
    kept = [pair for pair in headers if pair[0] not in dropped and not pair[0].startswith(_OURS)]
    kept.append((b"accept-encoding", b"identity"))
    kept.append((REQUEST_ID, request_id))
    if authorization is not None:
        kept.append((b"authorization", authorization))
    return kept


def downstream_headers(headers: Headers) -> Headers:
    """What a client is sent of a replica's `headers`, whose names are in lower case."""
    dropped = _dropped(_NOT_DOWNSTREAM, headers)
    return [pair for pair in headers if pair[0] not in dropped and not pair[0].startswith(_OURS)]


def provenance(route: str, target: Target, replica: str) -> Headers:
    """What an answer came from: `route`, the name that its client gave; what that meant; and the replica."""
    said = [(b"route", route), (b"arm", target.arm), (b"replica", replica)]
    if target.revision is not None:
        said.append((b"adapter", target.revision))
    if target.digest:
        said.append((b"digest", target.digest))
    return [(_OURS + name, _safe(value)) for name, value in said]


def said(name: str, value: str) -> tuple[bytes, bytes]:
    """A header of ours on an answer. What HTTP cannot carry becomes a question mark."""
    return _OURS + name.encode(), _safe(value[:2000])


def _safe(value: str) -> bytes:
    return value.encode() if value.isascii() and value.isprintable() else _UNSAFE.sub(b"?", value.encode())


def timeout_s(headers: Iterable[tuple[bytes, bytes]]) -> float | None:
    """How long the client waits for its whole answer, in seconds, None where it does not tell.

    Raises InvalidRequest.
    """
    given = header(headers, DEADLINE)
    if given is None:
        return None
    if not _MILLISECONDS.fullmatch(given):
        raise InvalidRequest(f"The header '{DEADLINE.decode()}' must be a whole number of milliseconds, 1 or more.")
    return int(given) / 1000


def _dropped(always: frozenset[bytes], headers: Headers) -> frozenset[bytes]:
    named = {token.strip().lower() for name, value in headers if name == b"connection" for token in value.split(b",")}
    return always | named if named else always
