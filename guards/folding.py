"""Text as it is compared: what looks like ASCII is ASCII, and what is not seen is not there. Offsets map back.

Every character folds by itself, to none or more, so a text folds the same however it is cut. Compatibility forms
(NFKC: full width, mathematical letters, circled digits), accents, digits of other scripts, letters of other scripts
that look like Latin ones, and characters without width are covered.

Source: Unicode Standard Annex 15 (normalization forms); Unicode Technical Standard 39 (confusables: the part that looks
like ASCII letters).
"""

import re
import unicodedata
from functools import cache

_LOOKALIKES = str.maketrans(
    "АВЕКМНОРСТХУаеорсухіјѕԁһԛԝЅІЈΑΒΕΖΗΙΚΜΝΟΡΤΥΧανορυγіҮүЬӀɑɡıⅼոսցօԁℓ‐‑‒–—―−⁃․ꓸ∕⁄։ː",  # noqa: RUF001
    "ABEKMHOPCTXYaeopcyxijsdhqwSIJABEZHIKMNOPTYXavopuyiYybIagilnugodl--------..//::",
)
# Runs that fold to themselves, and what folds by itself.
_UNITS = re.compile(r"([\x00-\x7f]+)|([^\x00-\x7f])")
_ESCAPED_UNITS = re.compile(r"([\x00-\x5b\x5d-\x7f]+)|(\\(?:u[0-9a-fA-F]{4}|[^u])|[^\\])", re.DOTALL)
_PARTIAL = re.compile(r"\\(?:u[0-9a-fA-F]{0,3})?\Z")
_SIMPLE = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
_UNSEEN = frozenset({"Mn", "Me", "Cf"})


@cache
def folded_char(char: str) -> str:
    """What a character is compared as: empty where it is not seen."""
    if char.isascii():
        return char
    plain = "".join(one for one in unicodedata.normalize("NFKD", char) if unicodedata.category(one) not in _UNSEEN)
    return "".join(_digit(one) for one in plain.translate(_LOOKALIKES))


def fold(text: str) -> str:
    """`text` folded as a whole."""
    return text if text.isascii() else "".join(map(folded_char, text))


def _digit(char: str) -> str:
    value = None if char.isascii() else unicodedata.decimal(char, None)
    return char if value is None else str(value)


class FoldedTail:
    """The end of a growing text, folded: `text`, whose first `context` characters are only looked at. `escaped`: the
    text is inside JSON, as a tool call's arguments are, and its escapes are read.

    Positions in `text` are turned into positions in all of what was added by `start_of` and `end_of`.
    """

    __slots__ = ("_at", "_base", "_escaped", "_partial", "_to", "context", "text")

    def __init__(self, *, escaped: bool = False) -> None:
        self.text = ""
        self.context = 0
        self._base = 0
        # Where each character came from, while it is not simply one after the other.
        self._at: list[int] | None = None
        self._to: list[int] = []
        self._escaped = escaped
        self._partial = ""

    @property
    def end(self) -> int:
        """How much was added in all, but for an escape that is not whole yet."""
        return self._base + len(self.text) if self._at is None else self._base

    def add(self, raw: str) -> None:
        """Takes more of the text."""
        if self._escaped:
            raw = self._partial + raw
            partial = _PARTIAL.search(raw) if "\\" in raw[-6:] and _open_escape(raw) else None
            self._partial = partial[0] if partial else ""
            raw = raw[: len(raw) - len(self._partial)]
        if raw.isascii() and not (self._escaped and "\\" in raw):
            self._add_plain(raw)
        else:
            self._add_units(_ESCAPED_UNITS if self._escaped else _UNITS, raw)

    def finish(self) -> None:
        """Takes an escape that never became whole for what it is."""
        partial, self._partial, self._escaped = self._partial, "", False
        self.add(partial)

    def start_of(self, place: int) -> int:
        """The position of the character that `place` came from; the end's, past the last one."""
        if self._at is None:
            return self._base + place
        return self._at[place] if place < len(self._at) else self._base

    def end_of(self, place: int) -> int:
        """The position after the character that the one before `place` came from."""
        return self._base + place if self._at is None else self._to[place - 1]

    def floor(self, place: int) -> int:
        """`place`, or the first one that came from the same character."""
        if self._at is not None:
            while 0 < place < len(self._at) and self._at[place - 1] == self._at[place]:
                place -= 1
        return place

    def drop(self, place: int, keep: int) -> int:
        """Forgets all before `place`, but for `keep` characters of context. Returns how many are gone."""
        gone = max(0, place - keep)
        if gone:
            self.text = self.text[gone:]
            if self._at is None:
                self._base += gone
            else:
                del self._at[:gone], self._to[:gone]
        self.context = place - gone
        return gone

    def _add_plain(self, raw: str) -> None:
        if self._at is not None:
            self._at.extend(range(self._base, self._base + len(raw)))
            self._to.extend(range(self._base + 1, self._base + len(raw) + 1))
            self._base += len(raw)
        self.text += raw

    def _add_units(self, units: re.Pattern[str], raw: str) -> None:
        self._spread()
        at, to, base, parts = self._at or [], self._to, self._base, list[str]()
        for run, unit in units.findall(raw):
            end = base + len(run or unit)
            if run:
                at.extend(range(base, end))
                to.extend(range(base + 1, end + 1))
                parts.append(run)
            else:
                folded = _unescaped(unit) if len(unit) > 1 else folded_char(unit)
                at.extend([base] * len(folded))
                to.extend([end] * len(folded))
                parts.append(folded)
            base = end
        self._at, self._base = at, base
        # At once: a text that grows by a character at a time is copied as often.
        self.text += "".join(parts)

    def _spread(self) -> None:
        """From here on each character's place is noted; `_base` is then where the next one comes."""
        if self._at is None:
            start, self._base = self._base, self._base + len(self.text)
            self._at = list(range(start, self._base))
            self._to = list(range(start + 1, self._base + 1))


def _unescaped(unit: str) -> str:
    if unit[1] == "u":
        return folded_char(chr(int(unit[2:], 16)))
    return _SIMPLE.get(unit[1], folded_char(unit[1]))


def _open_escape(raw: str) -> bool:
    """Whether the last backslash is not itself escaped, and what follows it not whole."""
    place = raw.rindex("\\")
    run = len(raw[: place + 1]) - len(raw[: place + 1].rstrip("\\"))
    return run % 2 == 1
