"""Escaped watch: it finds the matches of rules in a text as it is, and with the escapes of other formats read.

The second look costs as much as the first, so there is one only while an escape may be part of a match.
"""

from typing import Generic, Protocol, Self, TypeVar

from patchbay.guards.escapes import Escapes
from patchbay.guards.stream.watch import TextWatch, WatchState
from patchbay.guards.verdict import OPEN


class ForkingWatch(TextWatch, Protocol):
    """A `TextWatch` that another one may go on from, which reads escapes.

    `has_escapes`: whether one of them is in what is not settled, or may be about to come.
    """

    @property
    def has_escapes(self) -> bool: ...

    def fork(self, escapes: Escapes) -> Self:
        """Returns a watch that has seen the same text, and reports only what has an escape in it."""


Watch = TypeVar("Watch", bound=ForkingWatch)


class EscapedWatch(Generic[Watch]):
    """A `TextWatch` over one for the text as it is, and at times one more. `escaped`: whether the text is inside
    JSON."""

    def __init__(self, plain: Watch, *, escaped: bool = False) -> None:
        self._plain = plain
        self._escapes = Escapes(in_json=escaped)
        self._second: Watch | None = None

    def feed(self, text: str) -> WatchState:
        """Takes the next piece of the text; see `TextWatch`."""
        if self._second is None:
            if not self._escapes.may_begin_in(text):
                return self._plain.feed(text)
            # Up to here both looks see the same.
            self._second = self._plain.fork(self._escapes)
        state = _merged(self._plain.feed(text), self._second.feed(text))
        if not self._second.has_escapes:
            self._second = None
        return state

    def finish(self) -> WatchState:
        """Takes the text's end; see `TextWatch`."""
        first = self._plain.finish()
        return first if self._second is None else _merged(first, self._second.finish())


def _merged(first: WatchState, second: WatchState) -> WatchState:
    # What has no end of its own is found by the first look alone: two ends of one could not be told apart.
    spans = [span for span in second.spans if span.end != OPEN]
    return WatchState([*first.spans, *spans] if spans else first.spans, min(first.live, second.live), first.closed)
