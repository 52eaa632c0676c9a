"""What looks at a growing text."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from patchbay.guards.verdict import FoundSpan


@dataclass(frozen=True, slots=True)
class WatchState:
    """What was seen up to now. `spans`: those whose beginning is before `live`, and so cannot change any more, each
    told once, in no order; `live`: no match that is still to be told begins before this character; `closed`: rules
    whose span was told as open (`OPEN`), with where it has ended."""

    spans: Sequence[FoundSpan]
    live: int
    closed: Sequence[tuple[str, int]] = ()


class TextWatch(Protocol):
    """One detector on one text. Positions are characters from the text's beginning. What it tells must not depend on
    how the text is cut."""

    def feed(self, text: str) -> WatchState:
        """Takes what comes next."""

    def finish(self) -> WatchState:
        """Takes the text's end: nothing is live any more."""
