"""The records of an attack: a try, its answer, and a violation."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

# Whose port: clients', operators', or clients' without HTTP in between.
Door = Literal["clients", "operators", "wire"]


@dataclass(frozen=True, slots=True)
class Try:
    """One request of an attack.

    `kind`: its row in the table; `what`: which attack, in a few words; `body`: its bytes (with the door `wire` all that
    is sent); `pause_s`: between its pieces of `piece` bytes; `fields`: those put on top of `least`, where the body is
    made of them.
    """

    kind: str
    what: str
    path: str = ""
    body: bytes = b""
    door: Door = "clients"
    headers: Mapping[str, str] = field(default_factory=dict)
    pause_s: float = 0.0
    piece: int = 0
    least: Mapping[str, Any] = field(default_factory=dict)
    fields: Mapping[str, Any] = field(default_factory=dict)

    def without(self, name: str) -> "Try":
        """The same request without one of its fields."""
        fields = {key: value for key, value in self.fields.items() if key != name}
        return request(self.kind, self.path, self.least, fields)


def request(kind: str, path: str, least: Mapping[str, Any], fields: Mapping[str, Any]) -> Try:
    """A POST of `least` with `fields` on top of it."""
    body = json.dumps({**least, **fields}).encode()
    return Try(kind, f"{path} with {', '.join(fields) or 'nothing'}", path, body, least=least, fields=fields)


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a try.

    `status`: of HTTP, 0 where the connection ended without one; `at_fault`: whether the server took the blame (5xx, or
    an event of such an error amid a stream); `left`: whether the client went away before the end; `detail`: the
    beginning or the end of the body, or the error.
    """

    status: int
    at_fault: bool = False
    left: bool = False
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Violation:
    """A violation: something that must not happen, and the request under which it did.

    `alone`: whether it happened again when the request was tried alone, which is known of those that could be tried
    again.
    """

    what: str
    by: Try
    detail: str = ""
    alone: bool = False
