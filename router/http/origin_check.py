"""Origin check of requests: the name that a request is addressed to, and the web page that sent it. Pure.

A browser sends requests on behalf of any page that it shows, also to this machine's loopback: the page's origin is in
`Origin`, and a page that gives its own name this machine's address (DNS rebinding) shows by that name in `Host`.

Source: RFC 9110, section 7.2; the Fetch standard, sections 3.1 and 3.2; Fetch Metadata Request Headers, section 2.
"""

import ipaddress
from collections.abc import Iterable
from urllib.parse import urlsplit

from patchbay.core.asgi import Headers, header
from patchbay.core.errors import Forbidden, UnsupportedMediaType

ANY = "*"
_SAFE = ("GET", "HEAD", "OPTIONS")
_OTHER_SITES = (b"cross-site", b"same-site")
_JSON = "application/json"
# What a page may send anywhere without asking first: the Fetch standard's CORS-safelisted content types.
_SIMPLE = ("", "text/plain", "multipart/form-data", "application/x-www-form-urlencoded")
_REMEMBERED = 256
_METHODS = b"GET, HEAD, POST, DELETE"
_MAX_AGE_S = b"600"


class OriginCheck:
    """Check of one port against DNS rebinding and against requests from other sites' pages.

    `bound`: the host that the port is bound to; `hosts`: other names that it is known by, `*.NAME` for all below one,
    `*` for any; `origins`: origins of web pages that may send requests, `*` for any; `setting`: the name of the setting
    that `hosts` comes from, for error messages.
    """

    def __init__(
        self, *, bound: str, hosts: Iterable[str], origins: Iterable[str] = (), setting: str = "hosts"
    ) -> None:
        names = {name.lower().rstrip(".") for name in hosts}
        self._any_host = ANY in names
        self._hosts = frozenset(name for name in names if not name.startswith("*"))
        self._suffixes = tuple(name[1:] for name in names if name.startswith("*."))
        self._bound = bound.lower()
        self._origins = frozenset(origin.lower().rstrip("/") for origin in origins)
        self._setting = setting
        # `Host` headers that passed. A client sends the same one with each request.
        self._accepted: set[bytes] = set()

    def check_host(self, headers: Headers) -> None:
        """Raises Forbidden where the request is addressed to a name that is not this port's."""
        if self._any_host:
            return
        for name, value in headers:
            if name == b"host" and value not in self._accepted:
                self._accept(value)

    def allows(self, origin: bytes) -> bool:
        """Whether the configuration lets pages of `origin` send requests and read answers."""
        return ANY in self._origins or _text(origin).lower() in self._origins

    def is_own(self, headers: Headers, origin: bytes) -> bool:
        """Whether pages of `origin` are this port's own.

        They are where `origin` is what the request is addressed to, or one of the configured names (a proxy in front
        may pass on another `Host`).
        """
        netloc = urlsplit(_text(origin)).netloc.lower()
        if not netloc:
            return False
        host = _host_of(netloc)
        return netloc == _text(header(headers, b"host") or b"").lower() or host in self._hosts or self._has_suffix(host)

    def check_origin(self, headers: Headers) -> None:
        """Raises Forbidden where another site's page sent the request."""
        origin = header(headers, b"origin")
        if origin is not None and not self.is_own(headers, origin) and not self.allows(origin):
            raise Forbidden(f"Pages of {_text(origin)[:200]!r} may not use this port.")

    def cors(self, headers: Headers) -> Headers:
        """Makes the headers by which a browser lets a page of an allowed origin read the answer. None for others."""
        origin = header(headers, b"origin") if self._origins else None
        if origin is None or not self.allows(origin):
            return []
        shown = (b"access-control-expose-headers", b"*")
        return [(b"access-control-allow-origin", origin), shown, (b"vary", b"origin")]

    def preflight(self, method: str, headers: Headers) -> Headers | None:
        """Makes the headers that the answer to a CORS preflight has beside those of `cors`.

        Returns None where the request is no preflight, or not on behalf of an allowed page.
        """
        asked = header(headers, b"access-control-request-method") if method == "OPTIONS" else None
        if asked is None or not self.cors(headers):
            return None
        wanted = header(headers, b"access-control-request-headers") or b"*"
        return [
            (b"access-control-allow-methods", _METHODS),
            (b"access-control-allow-headers", wanted),
            (b"access-control-max-age", _MAX_AGE_S),
        ]

    def _accept(self, value: bytes) -> None:
        """Remembers a `Host` header that names this port. Raises Forbidden for any other."""
        host = _host_of(_text(value).lower())
        if not (self._is_named(host) or _is_address(host)):
            raise Forbidden(
                f"This port does not answer to the name {host[:200]!r}.",
                hint=f"If it is its name, add it to '{self._setting}' ('router.{self._setting}' in a patchbay.yaml).",
            )
        if len(self._accepted) >= _REMEMBERED:
            self._accepted.clear()
        self._accepted.add(value)

    def _is_named(self, host: str) -> bool:
        if host in {"localhost", self._bound} or host.endswith(".localhost"):
            return True
        return host in self._hosts or self._has_suffix(host)

    def _has_suffix(self, host: str) -> bool:
        return any(host.endswith(suffix) for suffix in self._suffixes)


def check_site(method: str, headers: Headers) -> None:
    """Raises Forbidden where a browser says that another site's page sent the request.

    Following a link to this port is allowed: such a request carries no token.
    """
    if header(headers, b"sec-fetch-site") not in _OTHER_SITES:
        return
    if method not in _SAFE or header(headers, b"sec-fetch-mode") != b"navigate":
        raise Forbidden("Pages of other sites may not use this port.")


def check_change(method: str, headers: Headers, *, archive: bool = False) -> None:
    """Raises UnsupportedMediaType where a change comes in a form that any page may send without a preflight.

    `archive`: whether other content types than JSON are allowed. Without a content type a token in a header will do: a
    page cannot add that without a preflight either.
    """
    if method in _SAFE:
        return
    kind = _text(header(headers, b"content-type") or b"").partition(";")[0].strip().lower()
    if kind == _JSON or (archive and kind not in _SIMPLE):
        return
    if not kind and header(headers, b"authorization") is not None:
        return
    raise UnsupportedMediaType("Changes need 'Content-Type: application/json', also without a body.")


def _text(value: bytes) -> str:
    return value.decode("latin-1").strip()


def _host_of(netloc: str) -> str:
    """Returns the host in `netloc`, without its port and the brackets of IPv6."""
    host, colon, port = netloc.rpartition(":")
    host = (host if colon and port.isdecimal() else netloc).rstrip(".")
    return host[1:-1] if host.startswith("[") and host.endswith("]") else host


def _is_address(host: str) -> bool:
    """Whether `host` is an IP address. DNS rebinding needs a name, so an address is always accepted."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
