"""A tracker of string quotes in a growing JSON text."""

import re

_MARKS = re.compile(r'\\.|\\\Z|"', re.DOTALL)


class Quotes:
    """Tracks whether a growing JSON text is within a string. `inside`: whether the text so far ends within one."""

    def __init__(self) -> None:
        self.inside = False
        self._escape_open = False

    def feed(self, text: str) -> None:
        """Takes the next piece of the text."""
        # A backslash at the end of the last piece escapes the first character of this one.
        start = 1 if self._escape_open and text else 0
        self._escape_open = self._escape_open and not text
        for mark in _MARKS.finditer(text, start):
            if mark[0] == '"':
                self.inside = not self.inside
            elif mark[0] == "\\":
                self._escape_open = True
