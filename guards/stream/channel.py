"""One text of an answer on its way to the client: what is let go of it, and with what in place of what was found.

Several detectors look at it. Released is what lies before the earliest match that any of them may still find; what was
found is settled before that, so nothing released is ever revised, and the result does not depend on how the text came.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from patchbay.guards.stream.quotes import Quotes
from patchbay.guards.stream.watch import TextWatch, WatchState
from patchbay.guards.verdict import OPEN, FoundSpan

Marker = Callable[[FoundSpan], str]
# Where, whether a span begins there (1) or a rule is closed (0), and which.
_Waiting = list[tuple[int, int, FoundSpan | str]]


@dataclass(frozen=True, slots=True)
class Released:
    """`text`: what may go to the client now; `spans`: what was found in what is settled by now, each told once, and
    `texts`, what each stood for, as far as it was there; `blocked`: what has ended the text, where something has."""

    text: str
    spans: Sequence[FoundSpan] = ()
    texts: Sequence[str] = ()
    blocked: FoundSpan | None = None


@dataclass(slots=True)
class _Cover:
    """What is left out: to `end`, or for as long as rules in `open` are."""

    end: int = 0
    open: set[str] = field(default_factory=set)

    def reaches(self, place: int) -> bool:
        """Whether the character at `place` is left out."""
        return bool(self.open) or place < self.end


class Channel:
    """`watches`: what looks at it; `marker`: what is put in the place of a redacted span; `is_json`: whether the text
    is a JSON document, in which that has to be a string where it stands for a number."""

    def __init__(self, watches: Sequence[TextWatch], marker: Marker, *, is_json: bool = False) -> None:
        self._watches = watches
        self._marker = marker
        self._quotes = Quotes() if is_json else None
        # From `_origin` on; what is before `_base` is over, and is forgotten once a release is.
        self._raw = ""
        self._origin = 0
        self._base = 0
        self._length = 0
        self._settled = 0
        self._waiting: _Waiting = []
        self._cover = _Cover()
        self._finished = False
        self.changed = False
        self.blocked = False

    @property
    def held(self) -> int:
        """How many characters came and were neither released nor left out."""
        return self._length - self._base

    @property
    def length(self) -> int:
        """How many characters came."""
        return self._length

    def feed(self, text: str) -> Released:
        """Takes what comes next. After a block nothing is released any more."""
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
        seen = [watch.finish() for watch in self._watches]
        return self._take([WatchState(each.spans, self._length, each.closed) for each in seen])

    def _take(self, seen: Sequence[WatchState]) -> Released:
        for one in seen:
            self._waiting += [(span.start, 1, span) for span in one.spans]
            self._waiting += [(place, 0, rule) for rule, place in one.closed]
        self._settled = min((one.live for one in seen), default=self._length)
        return self._release()

    def _release(self) -> Released:
        """Releases up to what is settled."""
        if not self._waiting and not self._cover.open and self._cover.end <= self._base:
            released = Released(self._say(self._cut(self._settled)))
        else:
            released = self._released(self._settled)
        if self._base > self._origin:
            self._raw, self._origin = self._raw[self._base - self._origin :], self._base
        return released

    def _released(self, until: int) -> Released:
        ready, self._waiting = _divided(self._waiting, until)
        parts: list[str] = []
        spans: list[FoundSpan] = []
        texts: list[str] = []
        for place, _, what in ready:
            parts.append(self._up_to(place))
            if isinstance(what, str):
                self._cover.open.discard(what)
                self._cover.end = max(self._cover.end, place)
                continue
            spans.append(what)
            texts.append(text := self._raw[max(0, place - self._origin) : max(0, what.end - self._origin)])
            if what.action == "block":
                self._stop()
                return Released("".join(parts), spans, texts, what)
            parts.append(self._leave_out(what, text))
        parts.append(self._up_to(until))
        return Released("".join(parts), spans, texts)

    def _leave_out(self, span: FoundSpan, text: str) -> str:
        """Notes that a span of `text` is not to be seen; what stands in its place, if it is the first of those that
        overlap."""
        if span.action not in ("redact", "mask"):
            return ""
        begins = not self._cover.reaches(span.start)
        if span.end == OPEN:
            self._cover.open.add(span.rule)
        else:
            self._cover.end = max(self._cover.end, span.end)
        self.changed = True
        if not begins:
            return ""
        marker = self._marker(span)
        is_number = self._quotes is not None and not self._quotes.inside and text.isdecimal()
        return f'"{marker}"' if is_number else marker

    def _up_to(self, place: int) -> str:
        """The text up to `place`, without what is left out."""
        if self._cover.open:
            self._cut(place)
            return ""
        if self._cover.end > self._base:
            self._cut(min(place, self._cover.end))
        return self._say(self._cut(place))

    def _say(self, text: str) -> str:
        if self._quotes is not None:
            self._quotes.feed(text)
        return text

    def _cut(self, place: int) -> str:
        if place <= self._base:
            return ""
        text = self._raw[self._base - self._origin : place - self._origin]
        self._base = place
        return text

    def _stop(self) -> None:
        self.blocked = True
        self._base = self._length
        self._waiting = []


def _divided(waiting: _Waiting, until: int) -> tuple[_Waiting, _Waiting]:
    """What comes before `until`, in order, and the rest."""
    ready: _Waiting = []
    later: _Waiting = []
    for each in waiting:
        (ready if each[0] < until or (each[1] == 0 and each[0] <= until) else later).append(each)
    return sorted(ready, key=_order), later


def _order(each: tuple[int, int, FoundSpan | str]) -> tuple[int, int, int, str]:
    place, kind, what = each
    return (place, kind, -what.end, what.rule) if isinstance(what, FoundSpan) else (place, kind, 0, what)
