"""Who may ask: bearer tokens, compared in constant time."""

import hashlib
import hmac
from collections.abc import Iterable

from adapters.asgi import header
from adapters.errors import Unauthorized

_BEARER = b"bearer "


class KeyRing:
    """The keys that open a door. An empty ring leaves it open: the configuration then binds only to loopback."""

    def __init__(self, keys: Iterable[str]) -> None:
        self._digests = [_digest(key.encode()) for key in keys]

    def check(self, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Raises Unauthorized unless `headers` show one of the keys: as a bearer token, or as Anthropic's `x-api-key`.

        Every key is compared, and digests are of one length, so that the time taken tells nothing of the keys.
        """
        if not self._digests:
            return
        shown = _shown(headers)
        if not shown:
            raise Unauthorized("You didn't provide an API key.", hint="Send it as 'Authorization: Bearer KEY'.")
        digest = _digest(shown)
        if not any([hmac.compare_digest(digest, known) for known in self._digests]):  # noqa: C419 - compare with all
            raise Unauthorized("Incorrect API key provided.")


def _shown(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    headers = list(headers)
    authorization = header(headers, b"authorization") or b""
    if authorization[: len(_BEARER)].lower() == _BEARER:
        return authorization[len(_BEARER) :].strip()
    return header(headers, b"x-api-key") or b""


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()
