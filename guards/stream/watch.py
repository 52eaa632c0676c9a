"""The protocol of text watches: detectors that look at a growing text."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from patchbay.guards.verdict import FoundSpan


class WatchState(NamedTuple):
    """The progress of a watch after a piece of text.

    `spans`: spans that begin before `live`, and so cannot change any more; each is reported once, in no order; `live`:
    no match that is still to be reported begins before this character; `closed`: rules whose span was reported as open
    (`OPEN`), with the position at which it has ended.
    """

    spans: Sequence[FoundSpan]
    live: int
    closed: Sequence[tuple[str, int]] = ()


class TextWatch(Protocol):
    """Detects one kind of thing in one text.

    Positions are characters from the text's beginning. What is reported must not depend on how the text is cut.
    """

    def feed(self, text: str) -> WatchState:
        """Takes the next piece of the text."""

    def finish(self) -> WatchState:
        """Takes the text's end: nothing is live any more."""
