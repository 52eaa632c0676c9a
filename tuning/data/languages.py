"""The languages of a data set's rows, told offline by py3langid (Lui & Baldwin, ACL 2012, langid.py)."""

from array import array
from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Final

from patchbay.core.distribution import translated_imports
from patchbay.tuning.data.rows import Row

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

# Letters from which a language can be told, as the guards have it, and how much of a text is looked at.
_FEWEST_LETTERS: Final = 40
_MOST_LOOKED_AT: Final = 1000
_SURE: Final = 0.9
# Another language in less than this share of the rows may be there by mistake.
_RARE: Final = 0.02


class LanguageMix:
    """Counts the languages of rows by what was asked, and notes those that are odd."""

    def __init__(self) -> None:
        # For each row that a language was told of its number and the language's, 6 bytes for a row.
        self._rows = array("L")
        self._codes = array("h")
        self._names: list[str] = []
        self._said: dict[int, str] = {}
        self._unknown = 0

    def add(self, row: Row, at: int) -> None:
        """Takes a row, whose number among all is `at`."""
        text = row.asked[:_MOST_LOOKED_AT]
        if sum(map(str.isalpha, text)) < _FEWEST_LETTERS:
            self._unknown += 1
            return
        code, sure = self._identifier.classify(text)
        if sure < _SURE:
            self._unknown += 1
        else:
            self._note(at, str(code), row.marks.language)

    def _note(self, at: int, code: str, said: str | None) -> None:
        if code not in self._names:
            self._names.append(code)
        self._rows.append(at)
        self._codes.append(self._names.index(code))
        if said is not None:
            self._said[at] = said

    def counts(self) -> Counter[str]:
        """Returns the number of rows by language; `unknown` are those too short to tell."""
        found = self._known()
        if self._unknown:
            found["unknown"] = self._unknown
        return found

    def odd(self) -> Iterator[tuple[int, str]]:
        """Yields the numbers of rows that are odd, each with what is."""
        found = self._known()
        most = sum(found.values()) * _RARE
        for at, number in zip(self._rows, self._codes, strict=True):
            code, said = self._names[number], self._said.get(at)
            if said is not None and said.split("-")[0].lower() != code:
                yield at, f"it says that its language is '{said}', and it reads as '{code}'"
            elif said is None and found[code] < most:
                yield at, f"it reads as '{code}', as few others do"

    def _known(self) -> Counter[str]:
        return Counter({self._names[number]: count for number, count in Counter(self._codes).items()})

    @cached_property
    def _identifier(self) -> "LanguageIdentifier":
        with translated_imports():
            from py3langid.langid import MODEL_FILE, LanguageIdentifier

        return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
