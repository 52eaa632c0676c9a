"""Check of a request's head for what llhttp accepts although HTTP/1.1 forbids it. Pure.

Source: RFC 9112, sections 3.2 (Host) and 6.1 (Transfer-Encoding).
"""

from patchbay.core.errors import InvalidRequest, NotImplementedHere
from patchbay.router.http.request import Request


def check_head(request: Request) -> None:
    """Checks the headers `Host` and `Transfer-Encoding`.

    Raises InvalidRequest where a request has no Host header, or more than one, and NotImplementedHere for any transfer
    coding but `chunked`.
    """
    hosts, codings = 0, b""
    for name, value in request.headers:
        if name == b"host":
            hosts += 1
        elif name == b"transfer-encoding":
            codings += b"," + value.lower()
    if hosts > 1 or (hosts == 0 and not request.http10):
        raise InvalidRequest(f"A request has one Host header, and this one has {hosts or 'none'}.")
    if codings and codings[1:].strip() != b"chunked":
        raise NotImplementedHere("This server reads no transfer coding but 'chunked'.")
