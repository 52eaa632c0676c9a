"""What guards say."""

from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal

Action = Literal["block", "redact", "mask", "flag", "route"]
Side = Literal["input", "output"]
# Where a span ends that has no end yet.
OPEN = 1 << 62


@dataclass(frozen=True, slots=True)
class FoundSpan:
    """Something that was found. `start`, `end`: characters of the text; `guard`: the guard's name; `rule`: what found
    it; `kind`: what it is."""

    start: int
    end: int
    guard: str
    rule: str
    kind: str
    action: Action = "flag"


@dataclass(frozen=True, slots=True)
class Finding:
    """A verdict as it is told and kept: never the text itself. `mark`: a keyed hash of what was found, so that two
    findings can be known for the same thing by who has the key."""

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
    """A keyed hash of a text: 16 hexadecimal digits. Source: RFC 7693 (BLAKE2, keyed)."""
    return blake2b(text.encode("utf-8", "replace"), key=blake2b(key).digest(), digest_size=8).hexdigest()
