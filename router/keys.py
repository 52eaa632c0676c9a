"""Who may ask: bearer tokens, compared in constant time."""

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from adapters.asgi import header
from adapters.errors import Forbidden, Unauthorized

_BEARER = b"bearer "
Role = Literal["viewer", "publisher", "operator", "admin"]
ROLES: tuple[Role, ...] = ("viewer", "publisher", "operator", "admin")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and what they may do: see, then push too, then move channels too, then everything."""

    name: str
    role: Role

    def check(self, needed: Role) -> None:
        """Raises Forbidden where the caller's role is less than `needed`."""
        if ROLES.index(self.role) < ROLES.index(needed):
            raise Forbidden(f"This needs the role '{needed}', and the token of '{self.name}' has '{self.role}'.")


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


class RoleRing:
    """The admin port's keys, each with a name and a role. An empty ring lets everyone do everything: the configuration
    then binds only to loopback."""

    def __init__(self, tokens: Iterable[tuple[str, Role, str]]) -> None:
        """`tokens`: name, role and the token itself."""
        self._known = [(_digest(token.encode()), Caller(name, role)) for name, role, token in tokens]

    def identify(self, headers: Iterable[tuple[bytes, bytes]]) -> Caller:
        """Whose token `headers` show, as a bearer token. Raises Unauthorized where it is nobody's."""
        if not self._known:
            return Caller("admin", "admin")
        shown = _shown(headers)
        if not shown:
            raise Unauthorized("The admin port needs a token.", hint="Send it as 'Authorization: Bearer TOKEN'.")
        digest = _digest(shown)
        found = [caller for known, caller in self._known if hmac.compare_digest(digest, known)]
        if not found:
            raise Unauthorized("Incorrect token provided.")
        return found[0]


def _shown(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    headers = list(headers)
    authorization = header(headers, b"authorization") or b""
    if authorization[: len(_BEARER)].lower() == _BEARER:
        return authorization[len(_BEARER) :].strip()
    return header(headers, b"x-api-key") or b""


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()
