"""Findings of one request: counts of all of them, and the first of them in full."""

from collections import Counter
from collections.abc import Callable, Collection
from typing import NamedTuple

from patchbay.guards.verdict import Action, Finding, FoundSpan, Side, mark_of

# Findings kept in full. A body can hold a million matches, and the memory of a request must not grow with them.
MOST_KEPT = 1000


class Kind(NamedTuple):
    """The key that findings are counted by."""

    guard: str
    kind: str
    action: Action
    side: Side
    dry_run: bool


class Findings:
    """Collects what guards find in one request.

    `key`: makes the marks of findings; `dry`: the guards in a dry run. `counts`: the number of findings by kind, in the
    order in which the kinds were first found; `first`: the first `MOST_KEPT` findings in full.
    """

    def __init__(self, key: bytes, dry: Collection[str]) -> None:
        self._key = key
        self._dry = dry
        self.counts: Counter[Kind] = Counter()
        self.first: list[Finding] = []

    def add(self, side: Side, span: FoundSpan, text: str) -> None:
        """Adds a span found on `side`. `text`: the text of the span, which only its mark is kept of."""
        dry = span.guard in self._dry
        self.counts[Kind(span.guard, span.kind, span.action, side, dry)] += 1
        if len(self.first) < MOST_KEPT:
            mark = mark_of(self._key, text)
            self.first.append(
                Finding(
                    guard=span.guard,
                    rule=span.rule,
                    kind=span.kind,
                    action=span.action,
                    side=side,
                    start=span.start,
                    end=span.end,
                    mark=mark,
                    dry_run=dry,
                )
            )

    def on(self, side: Side) -> Callable[[FoundSpan, str], None]:
        """Returns `add` for `side`."""
        return lambda span, text: self.add(side, span, text)

    @property
    def more(self) -> int:
        """The number of findings beyond `first`."""
        return self.counts.total() - len(self.first)

    @property
    def summary(self) -> list[str]:
        """The counts as short texts for a header, without any text that was found."""
        return [
            f"{kind.guard}={kind.kind}*{count} {kind.side} {'dry-run' if kind.dry_run else kind.action}"
            for kind, count in self.counts.items()
        ]

    def clear(self) -> None:
        """Forgets all findings, once they were reported."""
        self.counts.clear()
        self.first.clear()
