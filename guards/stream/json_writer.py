"""JSON writer: it writes a text of which parts are left out, and keeps the JSON in it valid.

In JSON, only what is in strings and the numbers and words outside of them are left out: quotes, brackets, commas and
colons stay. A number of which a part is left out becomes a string as a whole, with its sign and its fraction. The
result does not depend on how the text was cut.

Source: RFC 8259.
"""

import json
import re
from collections.abc import Callable
from typing import Final, Literal

_Place = Literal["prose", "outside", "inside"]
_OPENING = re.compile(r"[{\[]")
# By the bracket that may begin a document in prose: what comes next where it does.
_AFTER: Final = {"{": '"', "[": '{["'}
_SPACE = re.compile(r"\s*")
_GAP = re.compile(r"[\s,:]+")
_WORD = re.compile(r'[^\s{}\[\],:"]+')
_JSON_WORD = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null")
_PLAIN = re.compile(r'[^"\\\n]+|\n')
_HEX: Final = frozenset("0123456789abcdefABCDEF")
# Characters of an escape after its backslash, before it is known which one it is.
_UNKNOWN_ESCAPE: Final = 5
# Characters of a number or word that are held until its end is known.
_MOST_HELD: Final = 64


class JsonWriter:
    """Writes one growing text, of which `keep` takes what stays and `drop` what is left out.

    `is_json`: whether the whole text is to be a JSON document. In any other text a document is what begins as an object
    or a list does, up to its last bracket, or up to where it is no JSON.
    """

    def __init__(self, *, is_json: bool) -> None:
        self._is_json = is_json
        self._place: _Place = "outside" if is_json else "prose"
        self._depth = 0
        # The last bracket in prose, where nothing but space came after it.
        self._opening = ""
        # The characters that may still belong to an escape, and whether that stays.
        self._escape = 0
        self._keeps_escape = True
        # The number or word outside of strings that has not ended: its text, and the markers that take its place.
        self._held: list[str] = []
        self._held_chars = 0
        self._markers: list[str] = []
        self._marker = ""
        self._is_marked = True
        self._read: dict[_Place, Callable[[str, int, bool, list[str]], int]] = {
            "prose": self._prose,
            "outside": self._outside,
            "inside": self._inside,
        }

    def mark(self, marker: str) -> None:
        """Sets what stands in place of the text that is dropped from now on: once in each string that loses some."""
        self._marker, self._is_marked = marker, False

    def keep(self, text: str) -> str:
        """Takes text that stays, and returns what is written by it."""
        # The usual case, and on the path of every chunk.
        if self._place == "prose" and not self._opening and "{" not in text and "[" not in text:
            return text
        return self._written(text, keeps=True)

    def drop(self, text: str) -> str:
        """Takes text that is left out, and returns what is written by it."""
        return self._written(text, keeps=False)

    def insert(self, value: str) -> str:
        """Takes a text to write at this place: escaped within a string, as a string where a value stands."""
        if self._place == "inside" or (self._is_json and self._place == "prose"):
            return json.dumps(value)[1:-1]
        out: list[str] = []
        self._opening = ""
        self._end_word(out)
        out.append(value if self._place == "prose" else json.dumps(value))
        return "".join(out)

    def finish(self) -> str:
        """Takes the text's end, and returns the rest."""
        out: list[str] = []
        self._end_word(out)
        return "".join(out)

    def _written(self, text: str, *, keeps: bool) -> str:
        at, out = 0, list[str]()
        while at < len(text):
            at = self._read[self._place](text, at, keeps, out)
        return "".join(out)

    def _prose(self, text: str, at: int, keeps: bool, out: list[str]) -> int:
        if not keeps:
            self._opening = ""
            self._put_marker(out)
            return len(text)
        if self._opening:
            return self._after_opening(text, at, out)
        found = _OPENING.search(text, at)
        end = found.end() if found else len(text)
        self._opening = found[0] if found else ""
        out.append(text[at:end])
        return end

    def _after_opening(self, text: str, at: int, out: list[str]) -> int:
        space = _SPACE.match(text, at)
        end = space.end() if space else at
        out.append(text[at:end])
        if end < len(text):
            opening, self._opening = self._opening, ""
            if text[end] in _AFTER[opening]:
                self._place, self._depth = "outside", 1
        return end

    def _outside(self, text: str, at: int, keeps: bool, out: list[str]) -> int:
        if (word := _WORD.match(text, at)) is not None:
            self._add_word(word[0], keeps, out)
            return word.end()
        self._end_word(out)
        if self._place == "prose":
            return at
        if (gap := _GAP.match(text, at)) is not None:
            out.append(gap[0])
            return gap.end()
        out.append(text[at])
        self._structure(text[at])
        return at + 1

    def _structure(self, char: str) -> None:
        if char == '"':
            self._place = "inside"
            return
        self._depth += 1 if char in "{[" else -1
        if self._depth == 0 and not self._is_json:
            self._place = "prose"

    def _inside(self, text: str, at: int, keeps: bool, out: list[str]) -> int:
        if self._escape:
            return self._escaped(text, at, keeps, out)
        if text[at] == '"':
            out.append('"')
            self._place, self._is_marked = "outside", False
            return at + 1
        if text[at] == "\\":
            self._escape, self._keeps_escape = _UNKNOWN_ESCAPE, keeps
            self._write("\\", keeps, out)
            return at + 1
        if text[at] == "\n" and not self._is_json:
            # No string of JSON goes over a line's end.
            self._place, self._depth = "prose", 0
            return at
        plain = _PLAIN.match(text, at)
        end = plain.end() if plain else at + 1
        self._write(text[at:end], keeps, out)
        return end

    def _escaped(self, text: str, at: int, keeps: bool, out: list[str]) -> int:
        """Takes a character of an escape, which stays or goes as a whole, as its backslash did."""
        char = text[at]
        if self._escape == _UNKNOWN_ESCAPE:
            self._escape = _UNKNOWN_ESCAPE - 1 if char == "u" else 0
        elif char in _HEX:
            self._escape -= 1
        else:
            self._escape = 0
            return at
        self._write(char, self._keeps_escape, out)
        return at + 1

    def _write(self, part: str, keeps: bool, out: list[str]) -> None:
        if keeps:
            out.append(part)
        else:
            self._put_marker(out)

    def _put_marker(self, out: list[str]) -> None:
        if not self._is_marked:
            out.append(self._marker)
            self._is_marked = True

    def _add_word(self, part: str, keeps: bool, out: list[str]) -> None:
        if self._held_chars > _MOST_HELD:
            self._write(part, keeps, out)
        elif not keeps or self._markers:
            self._put_marker(self._markers)
        else:
            self._held.append(part)
            self._held_chars += len(part)
            if self._held_chars > _MOST_HELD:
                out.append("".join(self._held))

    def _end_word(self, out: list[str]) -> None:
        if not self._held and not self._markers:
            return
        word = "".join(self._held)
        if self._markers:
            out.append(f'"{"".join(self._markers)}"')
        elif self._held_chars <= _MOST_HELD:
            out.append(word)
        if not self._markers and not _JSON_WORD.fullmatch(word):
            self._place, self._depth = "prose", 0
        self._held, self._held_chars, self._markers, self._is_marked = [], 0, [], False
