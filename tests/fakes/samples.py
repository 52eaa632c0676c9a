"""Texts drawn from a regular expression's own language, by the tree that `re` makes of it."""

import random
from importlib import import_module
from typing import Any

c: Any = import_module("re._constants")
parser: Any = import_module("re._parser")
_DIGITS = "0123456789"
_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_CATEGORIES = {
    c.CATEGORY_DIGIT: _DIGITS,
    c.CATEGORY_SPACE: " \t",
    c.CATEGORY_WORD: _DIGITS + _LETTERS + "_",
    c.CATEGORY_NOT_SPACE: _DIGITS + _LETTERS + "-_.",
    c.CATEGORY_NOT_DIGIT: _LETTERS,
    c.CATEGORY_NOT_WORD: " -.",
}
_ANY = [chr(code) for code in range(33, 127)]


def sample(pattern: str, rng: random.Random) -> str:
    """A text that `pattern` matches, `\\b` aside. Repeats are mostly near the least that they may be."""
    return _all(parser.parse(pattern), rng)


def _all(nodes: Any, rng: random.Random) -> str:
    return "".join(_one(node, rng) for node in nodes)


def _one(node: Any, rng: random.Random) -> str:
    kind, value = node
    if kind is c.MAX_REPEAT:
        return _repeated(value, rng)
    if kind in (c.SUBPATTERN, c.BRANCH):
        return _all(value[-1] if kind is c.SUBPATTERN else rng.choice(value[1]), rng)
    if kind is c.LITERAL:
        return chr(value)
    return "" if kind is c.AT else rng.choice(_choices(kind, value))


def _repeated(value: Any, rng: random.Random) -> str:
    low, high, inner = int(value[0]), int(value[1]), value[2]
    most = min(high, low + 8) if rng.random() < 0.9 else min(high, 200)
    return "".join(_all(inner, rng) for _ in range(rng.randint(low, max(low, most))))


def _choices(kind: Any, value: Any) -> list[str]:
    if kind is c.IN:
        return _chars(value)
    return [one for one in _ANY if kind is c.ANY or ord(one) != value]


def _chars(members: Any) -> list[str]:
    chars: list[str] = []
    for kind, value in members:
        if kind is c.LITERAL:
            chars.append(chr(value))
        elif kind is c.RANGE:
            chars += [chr(code) for code in range(value[0], min(value[1], 126) + 1)]
        elif kind is c.CATEGORY:
            chars += _CATEGORIES[value]
    if members[0][0] is c.NEGATE:
        return [one for one in _ANY if one not in chars]
    return chars
