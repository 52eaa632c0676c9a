"""The language that a finder is asked in: of several, the text's own where it can be told, and else the first."""

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Final

from patchbay.core.errors import ConfigError

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

# Letters from which a text's language is told: a shorter one has too little of any.
_FEWEST_LETTERS: Final = 20


class Languages:
    """The languages of a guard, by their two letters (ISO 639-1), the first being the one for texts of unknown
    language."""

    def __init__(self, codes: Sequence[str]) -> None:
        self._codes = tuple(codes)

    def prepare(self) -> None:
        """Loads what tells languages apart, where there are several. Raises ConfigError where it does not know one."""
        if len(self._codes) > 1:
            try:
                _ = self._identifier
            except ValueError as error:
                raise ConfigError(f"The languages cannot be told apart: {error}") from error

    def of(self, text: str) -> str:
        """Returns the language to ask about `text` in."""
        if len(self._codes) == 1 or sum(map(str.isalpha, text)) < _FEWEST_LETTERS:
            return self._codes[0]
        return str(self._identifier.classify(text)[0])

    @property
    def _identifier(self) -> "LanguageIdentifier":
        return _identifier_of(self._codes)


@cache
def _identifier_of(codes: tuple[str, ...]) -> "LanguageIdentifier":
    """Returns what tells languages apart. It takes two seconds to load, so one serves the check of a configuration and
    the guards that are made of it, and those of the next one."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE)
    identifier.set_languages(list(codes))
    return identifier
