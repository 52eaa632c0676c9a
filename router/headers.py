"""Which headers cross the router. Pure.

Source: RFC 9110, section 7.6.1: a proxy drops `Connection`, all that it names, and the other hop-by-hop fields.
"""

import random
import re
from collections.abc import Iterable

from adapters.asgi import Headers, header

REQUEST_ID = b"x-request-id"
# Tells a replica the exact revision, whatever the body's model says: which one a name means is the router's to say.
REVISION = "x-patchbay-revision"
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
}
_NOT_DOWNSTREAM = _HOP_BY_HOP | {b"date", b"server", REQUEST_ID, b"x-patchbay-replica", b"x-patchbay-adapter"}
_OURS = b"x-patchbay-"
_SANE_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")


def request_id(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The client's own id for this request if it is harmless to log and to pass on, a new one otherwise."""
    given = header(headers, REQUEST_ID)
    if given is not None and _SANE_ID.fullmatch(given):
        return given
    # An id and no secret, so it need not cost a system call.
    return b"req-%032x" % random.getrandbits(128)


def upstream_headers(headers: Headers, request_id: bytes, token: str | None) -> list[tuple[str, str]]:
    """What a replica is sent of the client's `headers`, with the replica's own `token` in place of the client's key.

    Answers are asked for uncompressed, so that an error can be added to a stream that breaks.
    """
    dropped = _NOT_UPSTREAM | _named_by_connection(headers)
    kept = [
        (name.decode("latin-1"), value.decode("utf-8", "replace"))
        for name, value in headers
        if name not in dropped and not name.startswith(_OURS)
    ]
    kept.append(("accept-encoding", "identity"))
    kept.append(("x-request-id", request_id.decode("ascii")))
    if token is not None:
        kept.append(("authorization", f"Bearer {token}"))
    return kept


def downstream_headers(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    """What a client is sent of a replica's `headers`, names in lower case."""
    lower = [(name.lower(), value) for name, value in headers]
    dropped = _NOT_DOWNSTREAM | _named_by_connection(lower)
    return [(name, value) for name, value in lower if name not in dropped]


def _named_by_connection(headers: Headers) -> set[bytes]:
    values = [value for name, value in headers if name == b"connection"]
    return {token.strip().lower() for value in values for token in value.split(b",")}
