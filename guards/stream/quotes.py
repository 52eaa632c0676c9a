"""Where in a growing JSON text its strings are."""

import re

_MARKS = re.compile(r'\\.|\\\Z|"', re.DOTALL)


class Quotes:
    """`inside`: whether the text so far ends within a string."""

    def __init__(self) -> None:
        self.inside = False
        self._escapes = False

    def feed(self, text: str) -> None:
        """Takes what comes next."""
        start = 1 if self._escapes and text else 0
        self._escapes = self._escapes and not text
        for mark in _MARKS.finditer(text, start):
            if mark[0] == '"':
                self.inside = not self.inside
            elif mark[0] == "\\":
                self._escapes = True
