"""Contexts of rules: patterns for the text before a match, such as the words that name a bare number. Pure."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from typing import Final

from patchbay.guards.folding import fold

# A space in a word: names of fields write it in other ways (`social_security-number`), or not at all.
_GAP: Final = r"[\s_.-]{0,2}"
# What a number is a part of that stands apart otherwise: a longer number, a decimal, a version, a UUID.
APART: Final = re.compile(r"(?:\d[-.,:/_]|(?<![A-Za-z])[.,]|\b[0-9a-f]{4}-|[$\u20ac\u00a3] ?)\Z")
# A language that has the beginnings of all numbers that count only near a word. Scanners look for this one in place of
# a hundred; it may be broader than they are, and hold text for longer.
_NUMBER: Final = r"\(?\b(?:[A-Z]{0,9}[* -]?|[A-Z]{1,3}-[A-Z]{1,2} ?)(?:\d[A-Z]{0,6}[* ./()-]{0,3}[A-Z]{0,3} ?){1,20}"
# What is between a number and a word after it that names it: `is my`, `ist meine`, a bracket. Folded, so without accents.
_IS: Final = r"(?: ?[(\[] ?| ?= ?|,? (?:is|was|ist|war|es|era|est|etait|e) )(?:[a-z]{1,6} ){0,2}"
# The longest word after a number, with an ending: what may be one is held.
_MOST_AFTER: Final = 28
CANDIDATE: Final = rf"{_NUMBER}(?:{_IS}[a-z][a-z _.-]{{0,{_MOST_AFTER - 1}}})?"
# Characters after a number in which a word of its own begins, and more.
REACH: Final = 64
_AFTER_WORD: Final = re.compile(r"[a-z][a-z .-]+")


@dataclass(frozen=True, slots=True)
class Near:
    """The words of which one must be before a match. `pattern`: finds them; `cores`: texts in small letters of which
    one is in each of them, so that most rules can be left out at a glance; `apart`: whether each of those begins a
    word; `after`: matches such a word after a number, as in `536228714 is my SSN`, where a rule is scanned for by
    `CANDIDATE`, which holds as much."""

    pattern: re.Pattern[str]
    cores: Collection[str]
    apart: bool = False
    after: re.Pattern[str] | None = None


@cache
def words(*names: str) -> Near:
    """Returns any of some words, in any case, with no letter directly before or after them.

    `names`: words, folded as texts are; a space in one is any of a space, `_`, `.`, `-` and nothing.
    """
    forms = {fold(form) for name in names for form in (name, name.upper())}
    folded = sorted({form.lower() for form in forms}, key=lambda form: (-len(form), form))
    written = "|".join(re.escape(name).replace(r"\ ", _GAP) for name in folded)
    pattern = re.compile(rf"(?<![a-z])(?:{written})(?:s|es)?(?![a-z])", re.IGNORECASE)
    return Near(pattern, tuple({name.split(" ")[0] for name in folded}), apart=True, after=_after(folded))


def _after(names: Collection[str]) -> re.Pattern[str] | None:
    """Returns what matches one of some words behind a number; None where none of them can be there."""
    # A space in a word may be written as two characters, and an ending has two.
    fits = [name for name in names if _AFTER_WORD.fullmatch(name) and len(name) + name.count(" ") + 2 <= _MOST_AFTER]
    fitting = [re.escape(name).replace(r"\ ", "[ _.-]{0,2}") for name in fits]
    return re.compile(rf"{_IS}(?:{'|'.join(fitting)})(?:s|es)?(?![a-z])", re.IGNORECASE) if fitting else None
