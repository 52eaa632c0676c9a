"""Folding: text as it is compared, with look-alikes of ASCII as ASCII and without invisible characters. Offsets map
back.

Every character folds by itself, to none or more, so a text folds the same however it is cut. Compatibility forms
(NFKC: full width, mathematical letters, circled digits), accents, digits of other scripts, letters of other scripts
that look like Latin ones, Unicode's tags (letters without a look) and characters without width are covered.

Source: Unicode Standard Annex 15 (normalization forms); Unicode Technical Standard 39 (confusables: the part that looks
like ASCII letters).
"""

import re
import unicodedata
from bisect import bisect_left
from functools import cache

from patchbay.guards.escapes import SURROGATES, Escapes, character_of

_LOOKALIKES = str.maketrans(
    "АВЕКМНОРСТХУаеорсухіјѕԁһԛԝЅІЈΑΒΕΖΗΙΚΜΝΟΡΤΥΧανορυγіҮүЬӀɑɡıⅼոսցօԁℓ‐‑‒–—―−⁃․ꓸ∕⁄։ː",  # noqa: RUF001
    "ABEKMHOPCTXYaeopcyxijsdhqwSIJABEZHIKMNOPTYXavopuyiYybIagilnugodl--------..//::",
)
# Group 1: a run that folds to itself; group 2: a character, or an escape, that is folded alone.
_UNITS = re.compile(r"([\x00-\x7f]+)|([^\x00-\x7f])")
_ESCAPED_UNITS = re.compile(rf"([\x00-\x5b\x5d-\x7f]+)|({SURROGATES}|\\(?:u[0-9a-fA-F]{{4}}|[^u])|[^\\])", re.DOTALL)
# An escape at the end of a text that may still go on: not whole, or the first of the two that one character may have.
_PARTIAL = re.compile(r"(?:\\u[dD][89abAB][0-9a-fA-F]{2})?\\(?:u[0-9a-fA-F]{0,3})?\Z|\\u[dD][89abAB][0-9a-fA-F]{2}\Z")
_LONGEST = 11
_SIMPLE_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
# Categories of invisible characters: marks over others, enclosing marks, format characters.
_UNSEEN = frozenset({"Mn", "Me", "Cf"})


@cache
def folded_char(char: str) -> str:
    """Returns what a character is compared as: "" for an invisible one."""
    if char.isascii():
        return char
    if 0xE0020 <= ord(char) <= 0xE007E:
        return chr(ord(char) - 0xE0000)
    plain = "".join(part for part in unicodedata.normalize("NFKD", char) if unicodedata.category(part) not in _UNSEEN)
    return "".join(_digit(part) for part in plain.translate(_LOOKALIKES))


def fold(text: str) -> str:
    """Returns `text` folded."""
    return text if text.isascii() else "".join(map(folded_char, text))


def _digit(char: str) -> str:
    value = None if char.isascii() else unicodedata.decimal(char, None)
    return char if value is None else str(value)


class FoldedTail:
    """The folded end of a growing text.

    `escaped`: the text is inside JSON, as a tool call's arguments are, and its escapes are read; `escapes`: reads those
    of other formats too, where set; `lead`: what stands before the text, folded, such as the key of a value. `text`:
    the folded end; `context`: the number of characters at its beginning that are kept only for what looks back from the
    next one.

    `start_of` and `end_of` turn positions in `text` into positions in all of the text that was added.
    """

    __slots__ = (
        "_base",
        "_ends",
        "_escaped",
        "_escapes",
        "_partial",
        "_plain_from",
        "_read",
        "_starts",
        "context",
        "text",
    )

    def __init__(self, *, escaped: bool = False, escapes: Escapes | None = None, lead: str = "") -> None:
        self.text = lead
        self.context = len(lead)
        self._base = -len(lead)
        # Positions in the added text at which each folded character starts and ends. None while all of `text` is ASCII:
        # then `_base` is the position of its first character, and later that of the next one to come.
        self._starts: list[int] | None = None
        self._ends: list[int] = []
        # The position in the added text from which on each character is compared as itself.
        self._plain_from = 0
        self._escaped = escaped
        self._escapes = escapes
        # Where the escapes of other formats were that are still in `text`.
        self._read: list[int] = []
        self._partial = ""

    def fork(self, escapes: Escapes) -> "FoldedTail":
        """Returns a tail with the same text, which reads escapes in what comes."""
        fork = FoldedTail(escaped=self._escaped, escapes=escapes)
        fork.text, fork.context, fork._base, fork._partial = self.text, self.context, self._base, self._partial
        fork._starts, fork._ends = None if self._starts is None else list(self._starts), list(self._ends)
        fork._plain_from = self._plain_from
        return fork

    @property
    def has_read_escapes(self) -> bool:
        """Whether an escape of another format is in the text, or may be about to come."""
        return bool(self._partial or self._read)

    def has_read_in(self, start: int, end: int) -> bool:
        """Whether an escape of another format was read between two positions of the text that was added."""
        return bisect_left(self._read, start) < bisect_left(self._read, end)

    @property
    def end(self) -> int:
        """The length of all that was added, without an escape that is not whole yet."""
        return self._base + len(self.text) if self._starts is None else self._base

    def add(self, raw: str) -> None:
        """Adds the next piece of the text."""
        if self._escapes is not None:
            raw = self._partial + raw
            whole = self._escapes.whole(raw)
            self._partial, raw = raw[whole:], raw[:whole]
            self._add_units(self._escapes.units, raw)
            return
        if self._escaped:
            raw = self._partial + raw
            self._partial = _open_escape(raw) if "\\" in raw[-_LONGEST:] else ""
            raw = raw[: len(raw) - len(self._partial)]
        if raw.isascii() and not (self._escaped and "\\" in raw):
            self._add_plain(raw)
        else:
            self._add_units(_ESCAPED_UNITS if self._escaped else _UNITS, raw)

    def finish(self) -> None:
        """Adds an escape that never became whole, as plain text."""
        partial, self._partial, self._escaped, self._escapes = self._partial, "", False, None
        self.add(partial)

    def start_of(self, place: int) -> int:
        """Returns the position of the character that the folded one at `place` came from; past the last one, the
        end."""
        if self._starts is None:
            return self._base + place
        return self._starts[place] if place < len(self._starts) else self._base

    def end_of(self, place: int) -> int:
        """Returns the position after the character that the folded one before `place` came from."""
        return self._base + place if self._starts is None else self._ends[place - 1]

    def floor(self, place: int) -> int:
        """Returns the first place whose folded character came from the same one as that at `place`."""
        if self._starts is not None:
            while 0 < place < len(self._starts) and self._starts[place - 1] == self._starts[place]:
                place -= 1
        return place

    def drop(self, place: int, keep: int) -> int:
        """Drops all text before `place`, except `keep` characters of context. Returns the number of characters
        dropped."""
        dropped = max(0, place - keep)
        if dropped:
            self.text = self.text[dropped:]
            if self._starts is None:
                self._base += dropped
            else:
                del self._starts[:dropped], self._ends[:dropped]
                self._forget_positions()
            if self._read:
                del self._read[: bisect_left(self._read, self.start_of(0))]
        self.context = place - dropped
        return dropped

    def _add_plain(self, raw: str) -> None:
        if self._starts is not None:
            self._starts.extend(range(self._base, self._base + len(raw)))
            self._ends.extend(range(self._base + 1, self._base + len(raw) + 1))
            self._base += len(raw)
        self.text += raw

    def _add_units(self, units: re.Pattern[str], raw: str) -> None:
        self._track_positions()
        starts, ends, base, parts = self._starts or [], self._ends, self._base, list[str]()
        for run, unit in units.findall(raw):
            end = base + len(run or unit)
            if run:
                starts.extend(range(base, end))
                ends.extend(range(base + 1, end + 1))
                parts.append(run)
            else:
                folded = self._folded(unit, base) if len(unit) > 1 else folded_char(unit)
                starts.extend([base] * len(folded))
                ends.extend([end] * len(folded))
                parts.append(folded)
                self._plain_from = end
            base = end
        self._starts, self._base = starts, base
        # Joined once: a text that grows by one character at a time is copied each time.
        self.text += "".join(parts)

    def _folded(self, unit: str, start: int) -> str:
        """Returns what the escape `unit` at `start` stands for."""
        if self._escapes is None:
            return _unescaped(unit)
        if not self._escaped or unit[0] != "\\" or unit.startswith("\\\\"):
            self._read.append(start)
        return fold(self._escapes.text(unit))

    def _forget_positions(self) -> None:
        """Stops to keep each character's position where all that is left of the text is plain: to keep them costs a
        tenth of a chunk's time."""
        if self._starts and self._starts[0] >= self._plain_from:
            self._base, self._starts, self._ends = self._starts[0], None, []

    def _track_positions(self) -> None:
        """Starts to keep each character's position; from then on `_base` is the position of the next one."""
        if self._starts is None:
            start, self._base = self._base, self._base + len(self.text)
            self._starts = list(range(start, self._base))
            self._ends = list(range(start + 1, self._base + 1))


def _unescaped(unit: str) -> str:
    if unit[1] == "u":
        return folded_char(chr(int(unit[2:], 16)) if len(unit) == 6 else character_of(unit[2:6], unit[8:]))
    return _SIMPLE_ESCAPES.get(unit[1], folded_char(unit[1]))


def _open_escape(raw: str) -> str:
    """Returns the escape at the end of a text that may still go on; empty where its backslash is itself escaped."""
    match = _PARTIAL.search(raw, max(0, len(raw) - _LONGEST))
    while match is not None:
        before = raw[: match.start() + 1]
        if (len(before) - len(before.rstrip("\\"))) % 2:
            return match[0]
        match = _PARTIAL.search(raw, match.start() + 1)
    return ""
