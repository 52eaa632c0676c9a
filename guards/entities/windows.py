"""Windows: the parts of a growing text that a finder is asked about, each with some text around it. Pure.

They are told by the text alone, so they are the same however it was cut.
"""

from dataclasses import dataclass
from typing import Final

from patchbay.guards.entities.sentences import sentence_end

# The longest entity that is found whole wherever a text without a sentence's end is cut, in characters.
LONGEST: Final = 120
# The characters before a window that a finder sees beside it.
_MOST_CONTEXT: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A part of a text. `text`: what is asked about, with context; `at`: where it begins in the whole text; `start`,
    `end`: what begins from the one and before the other, in the whole text, is this window's."""

    text: str
    at: int
    start: int
    end: int


class Windows:
    """Divides a growing text into windows.

    `most`: the most characters that a window holds beside its context; `sentences`: whether it ends with a sentence, so
    that what is live is short. `live`: where the next window begins, in characters of the whole text.
    """

    def __init__(self, most: int, *, sentences: bool) -> None:
        self._most = most
        self._sentences = sentences
        # `_text` is the whole text from `_at` on.
        self._text = ""
        self._at = 0
        self._last = 0
        self.live = 0

    def add(self, text: str) -> list[Window]:
        """Takes the next piece of the text, and returns the windows that are whole now."""
        self._text += text
        windows = list[Window]()
        while (window := self._next()) is not None:
            windows.append(window)
        self._forget()
        return windows

    def finish(self) -> list[Window]:
        """Returns the last window, after the text's end."""
        end = self._at + len(self._text)
        return [self._taken(end, end)] if self.live < end else []

    def _next(self) -> Window | None:
        start = self.live - self._at
        most = start + self._most
        if self._sentences and (end := sentence_end(self._text, start, min(most, len(self._text)))) is not None:
            return self._taken(self._at + end, self._at + end)
        # What begins near a window's end may go on behind it, so it is the next window's.
        return self._taken(self._at + self._cut(start, most), self._at + most) if len(self._text) > most else None

    def _cut(self, start: int, most: int) -> int:
        """Returns where a stretch without a sentence's end is cut: after a white space, where there is one."""
        latest = most - LONGEST
        for place in range(latest, max(start, latest - LONGEST), -1):
            if self._text[place - 1].isspace():
                return place
        return latest

    def _taken(self, end: int, until: int) -> Window:
        """Takes what is live up to `end` as a window. `until`: where the text that is asked about ends."""
        at = self._context()
        window = Window(text=self._text[at - self._at : until - self._at], at=at, start=self.live, end=end)
        self._last, self.live = self.live, end
        return window

    def _context(self) -> int:
        """Returns where the text begins that is asked about: with the window before, or a word of it."""
        earliest = max(self._last, self.live - _MOST_CONTEXT)
        if earliest == self._last:
            return earliest
        for place in range(earliest, self.live):
            if self._text[place - self._at - 1].isspace():
                return place
        return self.live

    def _forget(self) -> None:
        """Drops what is before any context to come."""
        keep = max(self._last, self.live - _MOST_CONTEXT - 1)
        if keep > self._at:
            self._text, self._at = self._text[keep - self._at :], keep
