"""Broken watch: it puts base64 together that is broken over lines or escaped for a URL, and has it looked at.

A line must be as long as programs write them, so that words one a line are none. Like the encoded watch it looks in
windows whose places depend on a run's own beginning alone, and what is found stands for all of its window.

Source: RFC 2045 (base64 in lines); RFC 3986 (percent-encoding).
"""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from patchbay.guards.stream.encoded_watch import RUN, RUN_CHARS, WINDOW, spans_in, texts_in, windows
from patchbay.guards.stream.watch import TextWatch, WatchState
from patchbay.guards.verdict import FoundSpan

_CHARS: Final = RUN_CHARS + "=%\r\n\\"
_ENDS: Final = "=\r\n\\"
# Characters of a line, but for the last one of a run.
_SHORTEST: Final = 32
_RUN: Final = rf"[{re.escape(RUN_CHARS)}%]"
_BREAK: Final = r"(?:\r?\n|\\r\\n|\\n)"
# A line: its characters, and its break; `open`: what may become one. Without either the run ends there.
_LINE: Final = re.compile(
    rf"(?P<chars>{_RUN}*)={{0,2}}(?:(?P<break>{_BREAK})|(?P<open>(?:\\(?:r\\?)?|\r)?\Z)|(?<==)(?={_RUN})|.)", re.DOTALL
)
_BLOCK: Final = re.compile(rf"[{re.escape(_CHARS)}]+")
_BREAKS: Final = re.compile(rf"={{0,2}}{_BREAK}")
_SIGNS: Final = re.compile(r"%(2[bBfF]|3[dD])")


class BrokenWatch:
    """A `TextWatch` for base64 in lines. `make`: makes the watches that look at a decoded text."""

    def __init__(self, make: Callable[[], Sequence[TextWatch]]) -> None:
        self._make = make
        # What may be a run that goes on, or the last window of it, and where it begins.
        self._run = ""
        self._start = 0
        # Whether windows of that run were looked at before: then its first line is the rest of one.
        self._has_begun = False

    def feed(self, text: str) -> WatchState:
        """Takes the next piece of the text; see `TextWatch`."""
        text, start = self._run + text, self._start
        live = _live_from(text, has_begun=self._has_begun)
        spans = self._found(text[:live], start)
        self._run, self._start = text[live:], start + live
        self._has_begun = self._has_begun and live == 0
        length = len(self._run.rstrip(_ENDS))
        if length > WINDOW:
            *whole, last = windows(length)
            for at in whole:
                spans += self._in_window(self._run[at : at + WINDOW], self._start + at)
            self._run, self._start = self._run[last:], self._start + last
            self._has_begun = True
        return WatchState(spans, self._start)

    def finish(self) -> WatchState:
        """Takes the text's end; see `TextWatch`."""
        spans = self._found(self._run, self._start)
        end = self._start + len(self._run)
        self._run, self._start = "", end
        return WatchState(spans, end)

    def _found(self, text: str, start: int) -> list[FoundSpan]:
        """Returns what is in the runs of `text`, all of which have ended. `start`: where it begins."""
        if not _has_signs(text):
            return []
        return [
            span
            for begin, end in _runs(text, has_begun=self._has_begun)
            for at in windows(end - begin)
            for span in self._in_window(text[begin + at : min(end, begin + at + WINDOW)], start + begin + at)
        ]

    def _in_window(self, run: str, start: int) -> list[FoundSpan]:
        return spans_in(_texts_of(run), self._make, start, start + len(run))


def may_be_broken(text: str) -> bool:
    """Whether base64 in lines, or escaped, may be in `text`."""
    return _has_signs(text) and any(True for begin, end in _runs(text) for _ in _texts_of(text[begin:end][:WINDOW]))


def _has_signs(text: str) -> bool:
    """Whether anything is in `text` that is to be put together: a break, or an escape."""
    return "%" in text or "\n" in text or "\\" in text


def _runs(text: str, *, has_begun: bool = False) -> Iterator[tuple[int, int]]:
    """Yields where runs begin and end that may have to be put together. `has_begun`: the first has begun before."""
    for block in _BLOCK.finditer(text):
        begin = block.start()
        for match in _LINE.finditer(text, block.start(), block.end()):
            goes_on = _goes_on(match, has_begun=has_begun and match.start() == 0)
            # Padding at its end is no part of a run: what comes next would decide whether it is.
            end = match.end("chars") if match["break"] is None or not goes_on else match.end()
            if begin < end and (not goes_on or match.end() == block.end()):
                yield begin, end
            if goes_on and match.end() == block.end():
                break
            begin = begin if goes_on else match.end()


def _goes_on(line: re.Match[str], *, has_begun: bool) -> bool:
    """Whether a run may go on after a line: it ends with the text, or with a break and is long enough. `has_begun`: the
    line's beginning is not there."""
    if line["open"] is not None:
        return True
    return line["break"] is not None and (has_begun or len(line["chars"]) >= _SHORTEST)


def _live_from(text: str, *, has_begun: bool) -> int:
    """Returns where a run begins that may go on after `text`. `has_begun`: it has begun before."""
    live = len(text.rstrip(_CHARS))
    for match in _LINE.finditer(text, live):
        if not _goes_on(match, has_begun=has_begun and match.start() == 0):
            live = match.end()
    return live


def _texts_of(run: str) -> Iterator[str]:
    """Yields the texts that a run may stand for once it is put together."""
    joined = _SIGNS.sub(_sign, _BREAKS.sub("", run))
    if joined != run:
        for match in RUN.finditer(joined):
            yield from texts_in(match[0])


def _sign(match: re.Match[str]) -> str:
    return chr(int(match[1], 16))
