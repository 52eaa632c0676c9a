"""The look of guards at one text outside of any request: all that they find, with its place, and the text around it.

A text may come in pieces of any size: what is kept of it is what may still become a match, and no more.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from patchbay.guards.stream.watch import TextWatch, WatchState
from patchbay.guards.verdict import OPEN, FoundSpan


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedSpan:
    """A span with the place of its beginning. `line`, `column`: in the text, both from 1 on."""

    span: FoundSpan
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class TextPart:
    """A stretch of a text, and the span that it is in. Of spans that overlap it is the one that began first."""

    text: str
    span: FoundSpan | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """The part of a text that is settled by one call.

    `parts`: the text since the last call, in order; `found`: the spans whose end is known by now, each once.
    """

    parts: Sequence[TextPart]
    found: Sequence[PlacedSpan]


class TextLook:
    """Looks at one growing text. `watches`: the detectors, new ones."""

    def __init__(self, watches: Sequence[TextWatch]) -> None:
        self._watches = watches
        # The text from `_base` on, which is not settled yet, and where its first character stands.
        self._raw = ""
        self._base = 0
        self._line = 1
        self._line_start = 0
        # Spans that may reach beyond `_base`, by their beginnings.
        self._active: list[PlacedSpan] = []

    def feed(self, text: str) -> Looked:
        """Takes the next piece of the text."""
        self._raw += text
        return self._take([watch.feed(text) for watch in self._watches], self._base + len(self._raw))

    def finish(self) -> Looked:
        """Takes the text's end. A span that has no end of its own ends there."""
        end = self._base + len(self._raw)
        states = [watch.finish() for watch in self._watches]
        last = self._take([state._replace(live=end) for state in states], end)
        rest = [replace(one, span=replace(one.span, end=end)) for one in self._active if one.span.end == OPEN]
        return Looked(parts=last.parts, found=[*last.found, *rest])

    def _take(self, states: Sequence[WatchState], end: int) -> Looked:
        settled = min((state.live for state in states), default=end)
        closed = self._closed(dict(ended for state in states for ended in state.closed))
        placed = list(self._placed(sorted((span for state in states for span in state.spans), key=_order)))
        self._active = sorted([*self._active, *placed], key=lambda one: _order(one.span))
        parts = list(self._parts(settled))
        self._forget(settled)
        return Looked(parts=parts, found=[*closed, *(one for one in placed if one.span.end != OPEN)])

    def _closed(self, ends: Mapping[str, int]) -> list[PlacedSpan]:
        """Ends the open spans of the rules in `ends`, at the places there, and returns them."""
        still, ended = list[PlacedSpan](), list[PlacedSpan]()
        for one in self._active:
            if one.span.end == OPEN and one.span.rule in ends:
                ended.append(replace(one, span=replace(one.span, end=ends[one.span.rule])))
            else:
                still.append(one)
        self._active = [*still, *ended]
        return ended

    def _placed(self, spans: Sequence[FoundSpan]) -> Iterator[PlacedSpan]:
        line, line_start, at = self._line, self._line_start, self._base
        for span in spans:
            between = self._raw[at - self._base : span.start - self._base]
            if (breaks := between.count("\n")) > 0:
                line, line_start = line + breaks, at + between.rindex("\n") + 1
            at = max(at, span.start)
            yield PlacedSpan(span=span, line=line, column=span.start - line_start + 1)

    def _parts(self, until: int) -> Iterator[TextPart]:
        at = self._base
        for one in self._active:
            start, end = min(max(one.span.start, at), until), min(max(one.span.end, at), until)
            if start > at:
                yield TextPart(self._cut(at, start))
            if end > start:
                yield TextPart(self._cut(start, end), one.span)
            at = max(at, end)
        if until > at:
            yield TextPart(self._cut(at, until))

    def _cut(self, start: int, end: int) -> str:
        return self._raw[start - self._base : end - self._base]

    def _forget(self, until: int) -> None:
        gone = self._raw[: until - self._base]
        if (breaks := gone.count("\n")) > 0:
            self._line, self._line_start = self._line + breaks, self._base + gone.rindex("\n") + 1
        self._raw, self._base = self._raw[len(gone) :], until
        self._active = [one for one in self._active if one.span.end > until]


def _order(span: FoundSpan) -> tuple[int, int]:
    return span.start, -span.end
