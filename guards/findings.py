"""What was found in one request, and told: all of it by number, the first of it one by one."""

from collections import Counter
from collections.abc import Callable, Collection
from typing import NamedTuple

from patchbay.guards.verdict import Action, Finding, FoundSpan, Side, mark_of

# A body can hold a million matches: what is kept of a request must not grow with them.
MOST = 1000


class Kind(NamedTuple):
    """What findings are counted by."""

    guard: str
    kind: str
    action: Action
    side: Side
    dry_run: bool


class Findings:
    """`key`: what marks are made with; `dry`: guards that only tell. `counts`: how often what was found, by what was
    found first; `first`: up to `MOST` of it."""

    def __init__(self, key: bytes, dry: Collection[str]) -> None:
        self._key = key
        self._dry = dry
        self.counts: Counter[Kind] = Counter()
        self.first: list[Finding] = []

    def add(self, side: Side, span: FoundSpan, text: str) -> None:
        """Notes a span, and what `text` it is of."""
        dry = span.guard in self._dry
        self.counts[Kind(span.guard, span.kind, span.action, side, dry)] += 1
        if len(self.first) < MOST:
            mark = mark_of(self._key, text)
            self.first.append(
                Finding(span.guard, span.rule, span.kind, span.action, side, span.start, span.end, mark, dry)
            )

    def on(self, side: Side) -> Callable[[FoundSpan, str], None]:
        """`add` on that side."""
        return lambda span, text: self.add(side, span, text)

    @property
    def more(self) -> int:
        """How many were found that are not among the first."""
        return self.counts.total() - len(self.first)

    @property
    def summary(self) -> list[str]:
        """What was found, without any of it, for a header."""
        return [
            f"{one.guard}={one.kind}*{count} {one.side} {'dry-run' if one.dry_run else one.action}"
            for one, count in self.counts.items()
        ]

    def clear(self) -> None:
        """Forgets it all, once it was told."""
        self.counts.clear()
        self.first.clear()
