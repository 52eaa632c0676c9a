"""Headers between clients, the router and replicas: which ones cross, and the router's own. Pure.

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
# The same for Anthropic's clients, which show it with an error.
ANTHROPIC_REQUEST_ID = b"request-id"
# Names the exact revision to a replica, whatever the body's model says: the router decides what a name means.
REVISION = b"x-patchbay-revision"
# Time that a client, and so a replica, has for an answer: whole milliseconds.
DEADLINE = b"x-patchbay-timeout-ms"
# Priority of a request at a replica: its tier's, where that is not 0.
PRIORITY = b"x-patchbay-priority"
# Asks the router to explain its choice of who answers: `1`.
EXPLAIN = b"x-patchbay-explain"
# Asks for guards' verdicts in an answer's body: `1`.
VERDICTS = b"x-patchbay-content-filter"
# Sent by a replica that does not have the revision in `REVISION`.
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
# A client's credentials are for the router alone. Its lengths, encodings and expectations concern this hop only.
_NOT_UPSTREAM = _HOP_BY_HOP | {
    b"accept-encoding",
    b"api-key",
    b"authorization",
    b"content-length",
    b"expect",
    b"host",
    b"x-api-key",
    REQUEST_ID,
    TRACEPARENT,
}
_NOT_DOWNSTREAM = _HOP_BY_HOP | {b"date", b"server", REQUEST_ID, ANTHROPIC_REQUEST_ID, TRACEPARENT}
_OWN_PREFIX = b"x-patchbay-"
# What an answer tells of its origin.
_ROUTE = b"x-patchbay-route"
_ARM = b"x-patchbay-arm"
_REPLICA = b"x-patchbay-replica"
_ADAPTER = b"x-patchbay-adapter"
_DIGEST = b"x-patchbay-digest"
# The one header of a replica's own that clients get: the field of the request that its model can do nothing with.
_IGNORED = b"x-patchbay-ignored"
_UNSAFE = re.compile(rb"[^\x20-\x7e]")
_MILLISECONDS = re.compile(rb"[1-9]\d{0,9}")
_SANE_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")


def request_id(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Returns the client's own id for a request if it is harmless to log and to pass on, a new one otherwise."""
    given = header(headers, REQUEST_ID)
    if given is not None and _SANE_ID.fullmatch(given):
        return given
    # An id is no secret, so it need not cost the system call of a secure random number.
    return b"req-%032x" % random.getrandbits(128)


def upstream_headers(headers: Headers, request_id: bytes, authorization: bytes | None) -> Headers:
    """Makes the headers for a replica from those of the client.

    `authorization`: the replica's own credentials, which replace the client's key; None for none. Answers are asked for
    uncompressed, so that an error can be added to a stream that breaks.
    """
    dropped = _dropped(_NOT_UPSTREAM, headers)
    kept = [pair for pair in headers if pair[0] not in dropped and not pair[0].startswith(_OWN_PREFIX)]
    kept.append((b"accept-encoding", b"identity"))
    kept.append((REQUEST_ID, request_id))
    if authorization is not None:
        kept.append((b"authorization", authorization))
    return kept


def downstream_headers(headers: Headers) -> Headers:
    """Makes the headers for a client from those of a replica, whose names are in lower case."""
    dropped = _dropped(_NOT_DOWNSTREAM, headers)
    return [
        pair
        for pair in headers
        if pair[0] not in dropped and (not pair[0].startswith(_OWN_PREFIX) or pair[0] == _IGNORED)
    ]


def provenance(route: str, target: Target, replica: str) -> Headers:
    """Makes the headers that name an answer's origin.

    `route`: the name that the client gave; `target`: what that meant; `replica`: the replica's name, or `cache`;
    empty where that is not known yet.
    """
    origin = [(_ROUTE, _safe(route)), (_ARM, _safe(target.arm))]
    if replica:
        origin.append((_REPLICA, _safe(replica)))
    if target.revision is not None:
        origin.append((_ADAPTER, _safe(target.revision)))
    if target.digest:
        origin.append((_DIGEST, _safe(target.digest)))
    return origin


def said(name: str, value: str) -> tuple[bytes, bytes]:
    """Makes a header of the router's own, `x-patchbay-NAME`. What HTTP cannot carry becomes a question mark."""
    return _OWN_PREFIX + name.encode(), _safe(value[:2000])


def _safe(value: str) -> bytes:
    return value.encode() if value.isascii() and value.isprintable() else _UNSAFE.sub(b"?", value.encode())


def timeout_s(headers: Iterable[tuple[bytes, bytes]]) -> float | None:
    """Returns the seconds that the client waits for its whole answer, None where it does not say.

    Raises InvalidRequest where the header is malformed.
    """
    given = header(headers, DEADLINE)
    if given is None:
        return None
    if not _MILLISECONDS.fullmatch(given):
        raise InvalidRequest(f"The header '{DEADLINE.decode()}' must be a whole number of milliseconds, 1 or more.")
    return int(given) / 1000


def _dropped(always: frozenset[bytes], headers: Headers) -> frozenset[bytes]:
    """Returns the names to drop: `always`, and what `Connection` names."""
    for name, value in headers:
        if name == b"connection":
            always |= {token.strip().lower() for token in value.split(b",")}
    return always
