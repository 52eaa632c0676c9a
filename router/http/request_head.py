"""A request's head, where llhttp takes what HTTP/1.1 does not allow. Pure.

Source: RFC 9112, sections 3.2 (Host) and 6.1 (Transfer-Encoding).
"""

from patchbay.core.errors import InvalidRequest, NotImplementedHere
from patchbay.router.http.request import Request


def check_head(request: Request) -> None:
    """Raises InvalidRequest where it is not said, or said twice, whom the request is for, and NotImplementedHere where
    its body is coded in a way that nobody here reads."""
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
