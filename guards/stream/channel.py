"""Channel: one text of an answer on its way to the client, with markers in place of what was found.

Several watches look at the text. What is released lies before the earliest match that any of them may still find. The
spans before that are settled, so nothing released is ever revised, and the result does not depend on how the text was
cut.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from patchbay.guards.stream.json_writer import JsonWriter
from patchbay.guards.stream.watch import TextWatch, WatchState
from patchbay.guards.verdict import OPEN, FoundSpan

# Returns the text that takes the place of a redacted span.
Marker = Callable[[FoundSpan], str]
# A position, whether a span begins (1) or an open rule ends (0) there, and the span or the rule's name.
_Events = list[tuple[int, int, FoundSpan | str]]


class Released(NamedTuple):
    """The part of a text that is released by one call.

    `text`: what may go to the client now; `spans`: the spans settled by now, each reported once; `texts`: the text of
    each span, as far as it had come; `blocked`: the span that ended the text, if one did.
    """

    text: str
    spans: Sequence[FoundSpan] = ()
    texts: Sequence[str] = ()
    blocked: FoundSpan | None = None


@dataclass(slots=True)
class _Cover:
    """The stretch that is left out of the text: up to `end`, and as long as a rule in `open` is open."""

    end: int = 0
    open: set[str] = field(default_factory=set)

    def reaches(self, place: int) -> bool:
        """Whether the character at `place` is left out."""
        return bool(self.open) or place < self.end


class Channel:
    """Releases one growing text as far as its watches have settled it.

    `watches`: the detectors; `marker`: returns what takes the place of a redacted span; `is_json`: whether the text is
    a JSON document. JSON stays valid without what is left out, in any other text too (see `JsonWriter`). `changed`:
    whether anything was left out; `blocked`: whether a span has ended the text.
    """

    def __init__(self, watches: Sequence[TextWatch], marker: Marker, *, is_json: bool = False) -> None:
        self._watches = watches
        self._marker = marker
        self._writer = JsonWriter(is_json=is_json)
        # `_raw` is the text from `_origin` on. What lies before `_base` was released or left out; it stays in `_raw`
        # until the end of a release, as the spans of that release are cut from it.
        self._raw = ""
        self._origin = 0
        self._base = 0
        self._length = 0
        self._settled = 0
        self._events: _Events = []
        self._cover = _Cover()
        self._finished = False
        self.changed = False
        self.blocked = False

    @property
    def held(self) -> int:
        """The number of characters that were neither released nor left out yet."""
        return self._length - self._base

    @property
    def length(self) -> int:
        """The number of characters that were fed."""
        return self._length

    def feed(self, text: str) -> Released:
        """Takes the next piece of the text. After a block nothing is released any more."""
        if self.blocked or not text:
            return Released("")
        self._raw += text
        self._length += len(text)
        return self._take([watch.feed(text) for watch in self._watches])

    def finish(self) -> Released:
        """Takes the text's end, and releases the rest."""
        if self.blocked or self._finished:
            return Released("")
        self._finished = True
        states = [watch.finish() for watch in self._watches]
        last = self._take([WatchState(state.spans, self._length, state.closed) for state in states])
        return last._replace(text=last.text + self._writer.finish()) if last.blocked is None else last

    def _take(self, states: Sequence[WatchState]) -> Released:
        # On the path of every chunk, where nothing was found mostly.
        settled = self._length
        for spans, live, closed in states:
            if spans:
                self._events += [(span.start, 1, span) for span in spans]
            if closed:
                self._events += [(place, 0, rule) for rule, place in closed]
            settled = min(settled, live)
        self._settled = settled
        return self._release()

    def _release(self) -> Released:
        """Releases the text as far as it is settled."""
        # The usual case, and on the path of every chunk: nothing was found, and nothing is being left out.
        if not self._events and not self._cover.open and self._cover.end <= self._base:
            released = Released(self._writer.keep(self._cut(self._settled)))
        else:
            released = self._release_around_spans(self._settled)
        if self._base > self._origin:
            self._raw, self._origin = self._raw[self._base - self._origin :], self._base
        return released

    def _release_around_spans(self, until: int) -> Released:
        ready, self._events = _divided(self._events, until)
        parts: list[str] = []
        spans: list[FoundSpan] = []
        texts: list[str] = []
        for place, _, event in ready:
            parts.append(self._up_to(place))
            if isinstance(event, str):
                self._cover.open.discard(event)
                self._cover.end = max(self._cover.end, place)
                continue
            spans.append(event)
            texts.append(self._raw[max(0, place - self._origin) : max(0, event.end - self._origin)])
            if event.action == "block":
                self._stop()
                return Released("".join(parts), spans, texts, event)
            self._leave_out(event)
        parts.append(self._up_to(until))
        return Released("".join(parts), spans, texts)

    def _leave_out(self, span: FoundSpan) -> None:
        """Notes that a span is left out. Several spans that overlap get one marker, the first one's."""
        if span.action not in ("redact", "mask"):
            return
        begins = not self._cover.reaches(span.start)
        if span.end == OPEN:
            self._cover.open.add(span.rule)
        else:
            self._cover.end = max(self._cover.end, span.end)
        self.changed = True
        if begins:
            self._writer.mark(self._marker(span))

    def _up_to(self, place: int) -> str:
        """Takes the text up to `place`, and returns it without what is left out."""
        if self._cover.open:
            return self._writer.drop(self._cut(place))
        dropped = self._writer.drop(self._cut(min(place, self._cover.end))) if self._cover.end > self._base else ""
        return dropped + self._writer.keep(self._cut(place))

    def _cut(self, place: int) -> str:
        if place <= self._base:
            return ""
        text = self._raw[self._base - self._origin : place - self._origin]
        self._base = place
        return text

    def _stop(self) -> None:
        self.blocked = True
        self._base = self._length
        self._events = []


def _divided(events: _Events, until: int) -> tuple[_Events, _Events]:
    """Returns the events before `until`, in order, and the rest."""
    ready: _Events = []
    later: _Events = []
    for event in events:
        # A span ends before the character at its end, so its end at `until` is settled, and a beginning there is not.
        (ready if event[0] < until or (event[1] == 0 and event[0] <= until) else later).append(event)
    return sorted(ready, key=_order), later


def _order(event: tuple[int, int, FoundSpan | str]) -> tuple[int, int, int, str]:
    """By place; ends come before beginnings, and longer spans before shorter ones."""
    place, kind, subject = event
    if isinstance(subject, FoundSpan):
        return place, kind, -subject.end, subject.rule
    return place, kind, 0, subject
