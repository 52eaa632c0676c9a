"""Verdicts of guards: the spans that they find, and the findings that are kept of them."""

from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal

Action = Literal["block", "redact", "mask", "flag", "route"]
Side = Literal["input", "output"]
# The `end` of a span whose end was not found yet.
OPEN = 1 << 62


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundSpan:
    """A stretch of a text in which a guard found something.

    `start`, `end`: in characters of the text, the end exclusive; `guard`: the guard's name; `rule`: the rule that found
    it; `kind`: the kind of thing that it is, such as `EMAIL`; `action`: what the guard does about it.
    """

    start: int
    end: int
    guard: str
    rule: str
    kind: str
    action: Action = "flag"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A finding as it is logged and kept: it never holds the text itself.

    `mark`: a keyed hash of what was found, so that whoever has the key can tell that two findings are of the same
    thing; `dry_run`: the guard only reports, and nothing was done about it.
    """

    guard: str
    rule: str
    kind: str
    action: Action
    side: Side
    start: int
    end: int
    mark: str = ""
    dry_run: bool = False


def mark_of(key: bytes, text: str) -> str:
    """Returns a keyed hash of a text: 16 hexadecimal digits. Source: RFC 7693 (BLAKE2, keyed)."""
    return blake2b(text.encode("utf-8", "replace"), key=blake2b(key).digest(), digest_size=8).hexdigest()
