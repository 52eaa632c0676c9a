"""Patterns folded as texts are: each character beyond ASCII is replaced by what it is compared as. Pure.

A pattern that ignores case takes what its capitals and its small letters fold to as well: of Cyrillic and Greek letters
often only one of both looks like a Latin one.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from patchbay.core.errors import ConfigError
from patchbay.guards.folding import fold
from patchbay.guards.rules.tree import Node, constants, inner_nodes, with_inner

# Characters beyond ASCII that one range may have, and strings that a class may stand for beside its characters.
_MOST_IN_RANGE: Final = 0x8000
_MOST_STRINGS: Final = 256
# Syllables of Hangul are compared as their two or three letters. Source: The Unicode Standard, section 3.12.
_HANGUL: Final = (0xAC00, 0xD7A3)
_HANGUL_LETTERS: Final = ((0x1100, 0x1112), (0x1161, 0x1175), (0x11A8, 0x11C2))
_ASCII: Final = 128
_LAST: Final = 0x10FFFF


def folded_pattern(name: str, nodes: Sequence[Node], *, caseless: bool) -> list[Node]:
    """Returns the nodes of a pattern as they match folded text.

    `name`: the rule's; `caseless`: whether the pattern ignores case. Raises ConfigError where a class of characters
    cannot be folded.
    """
    made: list[Node] = []
    for kind, value in nodes:
        if kind is constants.LITERAL and value >= _ASCII:
            made += _any_of(_forms(chr(value), caseless=caseless))
        elif kind is constants.NOT_LITERAL and value >= _ASCII:
            made += _class(name, [(constants.NEGATE, None), (constants.LITERAL, value)], caseless=caseless)
        elif kind is constants.IN:
            made += _class(name, value, caseless=caseless)
        else:
            inner = [folded_pattern(name, each, caseless=caseless) for each in inner_nodes(kind, value)]
            made.append(with_inner(kind, value, inner) if inner else (kind, value))
    return made


def case_forms(text: str) -> list[str]:
    """Returns what the small letters and the capitals of a text, and the text as it is, fold to, each once."""
    return list(dict.fromkeys(fold(form) for form in (text, text.lower(), text.upper())))


def _forms(char: str, *, caseless: bool) -> list[str]:
    return case_forms(char) if caseless else [fold(char)]


def _any_of(forms: Iterable[str]) -> Iterator[Node]:
    """Yields the node that matches any of some strings; none where all of them are empty, as invisible characters
    are."""
    seen = [form for form in forms if form]
    chars = [(constants.LITERAL, ord(form)) for form in seen if len(form) == 1]
    strings = [[(constants.LITERAL, ord(char)) for char in form] for form in seen if len(form) > 1]
    branches = [*strings, *([[(constants.IN, chars)]] if chars else [])]
    if len(branches) == 1 and not strings and len(chars) == 1:
        yield chars[0]
    elif branches:
        yield constants.SUBPATTERN, (None, 0, 0, [(constants.BRANCH, (None, branches))])


def _class(name: str, members: Sequence[Node], *, caseless: bool) -> list[Node]:
    """Returns the nodes of a class. Where some of its characters are compared as several, those are alternatives of
    it."""
    if members == [(constants.RANGE, _HANGUL)]:
        letters = [[(constants.IN, [(constants.RANGE, each)])] for each in _HANGUL_LETTERS]
        final = (constants.MAX_REPEAT, (0, 1, letters[2]))
        return [(constants.SUBPATTERN, (None, 0, 0, [*letters[0], *letters[1], final]))]
    negated = members[0][0] is constants.NEGATE
    kept = [member for member in members if member[0] is not constants.LITERAL or member[1] < _ASCII or negated]
    ranges = [value for kind, value in members if kind is constants.RANGE]
    forms = {form for char in _chars(name, members) for form in _forms(char, caseless=caseless) if form}
    singles = sorted(ord(form) for form in forms if len(form) == 1)
    kept += [(constants.LITERAL, one) for one in singles if not any(low <= one <= high for low, high in ranges)]
    strings = sorted(form for form in forms if len(form) > 1)
    if negated or not strings:
        return [(constants.IN, kept)] if kept else []
    if len(strings) > _MOST_STRINGS:
        raise ConfigError(
            f"Rule '{name}' has a class with more than {_MOST_STRINGS} characters that are each compared as several: "
            "name fewer of them (all of Hangul is `[\uac00-\ud7a3]`, alone in its class)."
        )
    single: list[list[Node]] = [[(constants.IN, kept)]] if kept else []
    alternatives = [*([(constants.LITERAL, ord(char)) for char in string] for string in strings), *single]
    return [(constants.SUBPATTERN, (None, 0, 0, [(constants.BRANCH, (None, alternatives))]))]


def _chars(name: str, members: Sequence[Node]) -> Iterator[str]:
    """Yields the characters of a class that are beyond ASCII, but for those of ranges that take all there are."""
    for kind, value in members:
        if kind is constants.LITERAL and value >= _ASCII:
            yield chr(value)
        if kind is constants.RANGE and _ASCII <= value[1] < _LAST:
            first = max(_ASCII, value[0])
            if value[1] - first >= _MOST_IN_RANGE:
                raise ConfigError(
                    f"Rule '{name}' has a range of more than {_MOST_IN_RANGE} characters, which cannot be folded: name "
                    "fewer of them, or leave out what is meant to be left out with `[^\x00-\x7f]`."
                )
            yield from map(chr, range(first, value[1] + 1))
