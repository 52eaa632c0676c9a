"""Encoded watch: it decodes runs of base64 and of hexadecimal digits, and has what they hold looked at once more.

A run is looked at in windows, whose places depend on its own beginning alone, so the result does not depend on how the
text was cut. What is found stands for all of its window: nothing of it is readable any more.

Source: RFC 4648 (base64, its alphabet for URLs, base16).
"""

import base64
import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from patchbay.guards.stream.watch import TextWatch, WatchState
from patchbay.guards.verdict import FoundSpan

RUN_CHARS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/_-"
# Shorter runs hold fewer than nine characters.
_SHORTEST = 12
RUN = re.compile(rf"[A-Za-z0-9+/_-]{{{_SHORTEST},}}")
WINDOW = 4096
# What is longer than half of this may be found in two parts of a longer run, and so not be found.
_OVERLAP = 1024
_HEXADECIMAL = re.compile(r"[0-9a-fA-F]+")
# Bytes that are no text end a piece of it.
_TEXT = re.compile(rb"[\t\n\r\x20-\x7e]{7,}")
_TO_STANDARD = str.maketrans("-_", "+/")


class EncodedWatch:
    """A `TextWatch` for what is encoded. `make`: makes the watches that look at a decoded text."""

    def __init__(self, make: Callable[[], Sequence[TextWatch]]) -> None:
        self._make = make
        # The run at the end of the text, or the last window of it, and where it begins.
        self._run = ""
        self._start = 0

    def feed(self, text: str) -> WatchState:
        """Takes the next piece of the text; see `TextWatch`."""
        text, start = self._run + text, self._start
        ended = text.rstrip(RUN_CHARS)
        spans = self._found(ended, start) if len(ended) >= _SHORTEST else []
        self._run, self._start = text[len(ended) :], start + len(ended)
        if len(self._run) > WINDOW:
            *whole, last = windows(len(self._run))
            spans += self._inwindows(self._run, self._start, whole)
            self._run, self._start = self._run[last:], self._start + last
        return WatchState(spans, self._start)

    def finish(self) -> WatchState:
        """Takes the text's end; see `TextWatch`."""
        spans = self._found(self._run, self._start)
        end = self._start + len(self._run)
        self._run, self._start = "", end
        return WatchState(spans, end)

    def _found(self, text: str, start: int) -> list[FoundSpan]:
        """Returns what is in the runs of `text`, all of which have ended. `start`: where it begins."""
        spans = list[FoundSpan]()
        for match in RUN.finditer(text):
            spans += self._inwindows(match[0], start + match.start(), windows(len(match[0])))
        return spans

    def _inwindows(self, run: str, start: int, places: Iterable[int]) -> list[FoundSpan]:
        return [span for at in places for span in self._in_window(run[at : at + WINDOW], start + at)]

    def _in_window(self, run: str, start: int) -> list[FoundSpan]:
        return spans_in(texts_in(run), self._make, start, start + len(run))


def spans_in(texts: Iterable[str], make: Callable[[], Sequence[TextWatch]], start: int, end: int) -> list[FoundSpan]:
    """Returns what is found in texts that a window holds, which ends at `end`: each stands for all of the window.

    `make`: makes the watches that look at a text; `start`: where the window begins.
    """
    found: dict[tuple[str, str], FoundSpan] = {}
    for text in dict.fromkeys(texts):
        for watch in make():
            for span in (*watch.feed(text).spans, *watch.finish().spans):
                found[span.guard, span.rule] = FoundSpan(
                    start=start, end=end, guard=span.guard, rule=span.rule, kind=span.kind, action=span.action
                )
    return list(found.values())


def windows(length: int) -> range:
    """Returns where the windows of a run of `length` characters begin."""
    return range(0, max(1, length - _OVERLAP), WINDOW - _OVERLAP)


def texts_in(run: str) -> Iterator[str]:
    """Yields the texts that `run` may stand for, whichever of its characters is the first of a group."""
    plain = run.translate(_TO_STANDARD)
    for shift in range(4):
        # A group of four characters is three bytes, and one character alone is none.
        group = plain[shift:]
        group = group[:-1] if len(group) % 4 == 1 else group
        yield from _pieces(base64.b64decode(group + "=" * (-len(group) % 4)))
    if _HEXADECIMAL.fullmatch(plain):
        for shift in range(2):
            digits = plain[shift:]
            yield from _pieces(bytes.fromhex(digits[: len(digits) // 2 * 2]))


def _pieces(data: bytes) -> Iterator[str]:
    for match in _TEXT.finditer(data):
        yield match[0].decode("ascii")


def may_be_encoded(text: str) -> bool:
    """Whether a run is in `text` that may stand for a text."""
    return any(next(texts_in(match[0][:WINDOW]), None) is not None for match in RUN.finditer(text))
