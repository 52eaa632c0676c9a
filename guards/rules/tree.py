"""Parse trees of patterns, as Python's own parser makes them: their nodes, and the widths of what they match. Pure."""

import string
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from importlib import import_module
from typing import Any, Final

# The parser that `re` itself uses has no public name.
constants: Any = import_module("re._constants")
parser: Any = import_module("re._parser")

Node = tuple[Any, Any]
_CANDIDATES: Final = "x7- _"
# By a class such as `\d`: a character of it, and those of the candidates that it takes.
_TYPICAL: Final[Mapping[Any, str]] = {
    constants.CATEGORY_DIGIT: "7",
    constants.CATEGORY_NOT_DIGIT: "x",
    constants.CATEGORY_SPACE: " ",
    constants.CATEGORY_NOT_SPACE: "x",
    constants.CATEGORY_WORD: "x",
    constants.CATEGORY_NOT_WORD: "-",
}
_TAKEN: Final[Mapping[Any, str]] = {
    constants.CATEGORY_DIGIT: "7",
    constants.CATEGORY_NOT_DIGIT: "x- _",
    constants.CATEGORY_SPACE: " ",
    constants.CATEGORY_NOT_SPACE: "x7-_",
    constants.CATEGORY_WORD: "x7_",
    constants.CATEGORY_NOT_WORD: "- ",
}
# The last code of ASCII, and the codes of classes as rules have them, which are of ASCII alone.
_MOST_CODE: Final = 127
_CATEGORY_CODES: Final[Mapping[Any, AbstractSet[int]]] = {
    constants.CATEGORY_DIGIT: frozenset(map(ord, string.digits)),
    constants.CATEGORY_SPACE: frozenset(map(ord, string.whitespace)),
    constants.CATEGORY_WORD: frozenset(map(ord, string.ascii_letters + string.digits + "_")),
}


def inner_nodes(kind: Any, value: Any) -> list[list[Node]]:
    """Returns the sequences of nodes within a node: its branches, or what it groups or repeats."""
    if kind is constants.BRANCH:
        return [list(branch) for branch in value[1]]
    if kind is constants.SUBPATTERN:
        return [list(value[3])]
    return [list(value[2])] if kind is constants.MAX_REPEAT else []


def with_inner(kind: Any, value: Any, inner: Sequence[Sequence[Node]]) -> Node:
    """Returns a node with other sequences within it, in the order of `inner_nodes`."""
    if kind is constants.BRANCH:
        return kind, (None, [list(branch) for branch in inner])
    if kind is constants.SUBPATTERN:
        return kind, (*value[:3], list(inner[0]))
    return (kind, (*value[:2], list(inner[0]))) if kind is constants.MAX_REPEAT else (kind, value)


def widths(nodes: Sequence[Node]) -> tuple[int, int]:
    """Returns the lengths, in characters, of the shortest and the longest text that a sequence of nodes matches."""
    all_ = [_widths_of(kind, value) for kind, value in nodes]
    return sum(low for low, _ in all_), sum(high for _, high in all_)


def _widths_of(kind: Any, value: Any) -> tuple[int, int]:
    inner = [widths(nodes) for nodes in inner_nodes(kind, value)]
    if kind is constants.MAX_REPEAT:
        return inner[0][0] * value[0], inner[0][1] * value[1]
    if inner:
        return min(low for low, _ in inner), max(high for _, high in inner)
    return (0, 0) if kind is constants.AT else (1, 1)


def characters(nodes: Sequence[Node]) -> frozenset[int] | None:
    """Returns the codes of all characters that may be in what a sequence of nodes matches; None where they are too
    many, as without the characters of a class."""
    return _union([_all_codes(kind, value) for kind, value in nodes])


def beginnings(nodes: Sequence[Node]) -> frozenset[int] | None:
    """Returns the codes of all characters that what a sequence of nodes matches may begin with; None where they are too
    many."""
    first: list[AbstractSet[int] | None] = []
    for kind, value in nodes:
        inner = inner_nodes(kind, value)
        first += [beginnings(one) for one in inner] or [_codes(kind, value)]
        # What matches nothing may be left out.
        if _widths_of(kind, value)[0] > 0:
            break
    return _union(first)


def _all_codes(kind: Any, value: Any) -> frozenset[int] | None:
    return _union([_codes(kind, value), *(characters(one) for one in inner_nodes(kind, value))])


def _union(parts: Sequence[AbstractSet[int] | None]) -> frozenset[int] | None:
    known = [part for part in parts if part is not None]
    return frozenset().union(*known) if len(known) == len(parts) else None


def _codes(kind: Any, value: Any) -> AbstractSet[int] | None:
    """Returns the codes that a node, or a member of a class, takes by itself; those of nodes within it aside."""
    if kind is constants.IN:
        return _union([_codes(*member) for member in value])
    if kind is constants.LITERAL:
        return {value}
    if kind is constants.RANGE:
        return None if value[1] > _MOST_CODE else frozenset(range(value[0], value[1] + 1))
    if kind is constants.CATEGORY:
        return _CATEGORY_CODES.get(value)
    return None if kind in (constants.NEGATE, constants.NOT_LITERAL, constants.ANY) else frozenset()


def example_of(nodes: Sequence[Node]) -> str:
    """Returns a short text that a sequence of nodes describes: by its first branches, with few repeats."""
    return "".join(_example(kind, value) for kind, value in nodes)


def _example(kind: Any, value: Any) -> str:
    if kind is constants.LITERAL:
        return chr(value)
    if kind is constants.MAX_REPEAT:
        return example_of(list(value[2])) * int(max(value[0], min(1, value[1])))
    if kind in (constants.IN, constants.NOT_LITERAL, constants.ANY):
        members = value if kind is constants.IN else [(constants.NEGATE, None), (constants.LITERAL, value or 0)]
        return _member(members)
    inner = inner_nodes(kind, value)
    return example_of(inner[0]) if inner else ""


def _member(members: Sequence[Node]) -> str:
    """Returns a character that a class takes."""
    named = [(kind, value) for kind, value in members if kind is not constants.NEGATE]
    if len(named) == len(members):
        return _first(*named[0])
    free = (char for char in _CANDIDATES if not any(_takes(kind, value, char) for kind, value in named))
    return next(free, "")


def _first(kind: Any, value: Any) -> str:
    if kind is constants.CATEGORY:
        return _TYPICAL[value]
    return chr(value[0] if kind is constants.RANGE else value)


def _takes(kind: Any, value: Any, char: str) -> bool:
    if kind is constants.LITERAL:
        return bool(ord(char) == value)
    if kind is constants.RANGE:
        return bool(value[0] <= ord(char) <= value[1])
    return char in _TAKEN[value]
