"""Keys of the admin port, with roles: bearer tokens, compared in constant time."""

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from patchbay.core.asgi import header
from patchbay.core.errors import Forbidden, Unauthorized

_BEARER = b"bearer "
Role = Literal["viewer", "publisher", "operator", "admin"]
ROLES: tuple[Role, ...] = ("viewer", "publisher", "operator", "admin")


@dataclass(frozen=True, slots=True)
class Caller:
    """The caller of the admin port.

    `role`: a viewer may look, a publisher may push too, an operator may also move channels, and an admin may do
    everything.
    """

    name: str
    role: Role

    def check(self, needed: Role) -> None:
        """Raises Forbidden where the caller's role is less than `needed`."""
        if ROLES.index(self.role) < ROLES.index(needed):
            raise Forbidden(f"This needs the role '{needed}', and the token of '{self.name}' has '{self.role}'.")


class RoleRing:
    """Holds the admin port's keys, each with a name and a role.

    An empty ring lets everyone do everything: the configuration has `admin_open` then, and binds only to loopback.
    """

    def __init__(self, tokens: Iterable[tuple[str, Role, str]]) -> None:
        """`tokens`: name, role and token of each key."""
        self._known = [(_digest(token.encode()), Caller(name, role)) for name, role, token in tokens]

    def identify(self, headers: Iterable[tuple[bytes, bytes]], query_token: str | None = None) -> Caller:
        """Returns the caller whose token is in `headers`, or else in the address (`query_token`). Raises Unauthorized
        for an unknown one."""
        if not self._known:
            return Caller("admin", "admin")
        shown = shown_key(headers) or (query_token or "").encode()
        if not shown:
            hint = (
                "Send it as 'Authorization: Bearer TOKEN'; `patchbay admin token` prints it where none is configured."
            )
            raise Unauthorized("The admin port needs a token.", hint=hint)
        digest = _digest(shown)
        found = [caller for known, caller in self._known if hmac.compare_digest(digest, known)]
        if not found:
            raise Unauthorized("Incorrect token provided.")
        return found[0]


def shown_key(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Returns the key in `headers`: a bearer token, Anthropic's `x-api-key` or Azure's `api-key`; empty for none."""
    headers = list(headers)
    authorization = header(headers, b"authorization") or b""
    if authorization[: len(_BEARER)].lower() == _BEARER:
        return authorization[len(_BEARER) :].strip()
    return header(headers, b"x-api-key") or header(headers, b"api-key") or b""


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()
