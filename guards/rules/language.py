"""Languages of patterns: the form that scanners take, and the reversed prefixes of all matches. Pure.

Python's own parser reads the pattern, and its tree is written out again, so Python's `re`, Hyperscan and RE2 match the
same language. The prefixes, read backwards from a stream's end, find the part of it that may still become a match.
"""

import re
from typing import Any

from patchbay.core.errors import ConfigError
from patchbay.guards.rules.folded_pattern import folded_pattern
from patchbay.guards.rules.tree import Node, constants, inner_nodes, parser, widths, with_inner

# The group of a pattern that is the span, where it has one.
VALUE = "value"
_REFUSED = re.MULTILINE | re.DOTALL | re.LOCALE
# The longest match of a rule, in characters: as much may be held back on a stream.
MOST_WIDTH = 1024
_CATEGORIES = {
    constants.CATEGORY_DIGIT: "0-9",
    constants.CATEGORY_SPACE: r"\t\n\x0b\f\r\x20",
    constants.CATEGORY_WORD: "0-9A-Za-z_",
}
_NOT_CATEGORIES = {
    constants.CATEGORY_NOT_DIGIT: r"\D",
    constants.CATEGORY_NOT_SPACE: r"\S",
    constants.CATEGORY_NOT_WORD: r"\W",
}
_BOUNDS = {constants.AT_BOUNDARY: r"\b", constants.AT_NON_BOUNDARY: r"\B"}
_KNOWN = frozenset(
    [
        constants.LITERAL,
        constants.NOT_LITERAL,
        constants.ANY,
        constants.IN,
        constants.AT,
        constants.MAX_REPEAT,
        constants.SUBPATTERN,
        constants.BRANCH,
    ]
)


def parsed(name: str, pattern: str, *, caseless: bool = False) -> list[Node]:
    """Parses a rule's pattern, and folds it as texts are. Raises ConfigError, with the rule's name, where the rule
    cannot be used.

    `caseless`: whether the rule ignores case; a pattern that begins with `(?i)` does where this says so.
    """
    tree = read_pattern(name, pattern)
    if tree.state.flags & _REFUSED:
        raise ConfigError(
            f"Rule '{name}' sets a flag that is not known here: `(?i)` and `(?x)` are; write `[\\s\\S]` for a `.` that "
            "takes line breaks."
        )
    nodes = list(tree)
    _check(name, nodes)
    nodes = folded_pattern(name, nodes, caseless=caseless)
    low, high = widths(nodes)
    if low == 0:
        raise ConfigError(f"Rule '{name}' matches nothing at all, so it would match everywhere.")
    nodes = _without_groups(nodes, tree.state.groupdict.get(VALUE))
    if high > MOST_WIDTH:
        raise ConfigError(
            f"Rule '{name}' can match more than {MOST_WIDTH} characters, and all of a match is held back on a stream: "
            "give its repeats a bound (`{1,64}` instead of `+`), or end it by `until`."
        )
    return nodes


def read_pattern(name: str, pattern: str) -> Any:
    """Returns the parse tree of a rule's pattern, as it is written. Raises ConfigError."""
    try:
        return parser.parse(pattern, re.ASCII)
    except (re.error, OverflowError, ValueError) as error:
        raise ConfigError(f"Rule '{name}': '{pattern[:80]}' is no regular expression: {error}.") from error


def ignores_case(pattern: str) -> bool:
    """Says whether a pattern begins with a flag `(?i)`; one that cannot be read does not."""
    try:
        return bool(read_pattern("", pattern).state.flags & re.IGNORECASE)
    except ConfigError:
        return False


def forward(nodes: list[Node]) -> str:
    """Writes the pattern of the language itself."""
    return "".join(_written(node) for node in nodes)


def reversed_prefixes(nodes: list[Node]) -> str:
    """Writes the pattern of every string that a match can begin with, whole matches too, reversed.

    A `\\b` at a match's end is left out, as the next character decides it.
    """
    prefixes = _prefixes(nodes)
    assert prefixes is not None, "a pattern that matches nothing was refused"  # noqa: S101
    return prefixes


def _prefixes(nodes: list[Node]) -> str | None:
    """The reversed prefixes of a sequence, None where it has no characters: those of its first node, or all of that and
    those of the rest."""
    rest: str | None = None
    for node in reversed(nodes):
        own = _prefixes_of(node)
        if rest is not None:
            longer = _group(rest) + _backwards(node)
            own = longer if own is None else f"(?:{own}|{longer})"
        rest = own if own is not None else rest
    return rest


def _prefixes_of(node: Node) -> str | None:
    kind, value = node
    if kind is constants.AT:
        return None
    if kind is constants.SUBPATTERN:
        return _prefixes(list(value[3]))
    if kind is constants.BRANCH:
        branches = [prefixes for branch in value[1] if (prefixes := _prefixes(list(branch))) is not None]
        return f"(?:{'|'.join(branches)})" if branches else None
    if kind is constants.MAX_REPEAT:
        _, most, inner = value
        prefixes = _prefixes(list(inner))
        if prefixes is None or most == 0:
            return None
        before = "" if most == 1 else _group(_reversed(list(inner))) + f"{{0,{most - 1}}}"
        return _group(prefixes) + before
    return _written(node)


def _reversed(nodes: list[Node]) -> str:
    return "".join(_backwards(node) for node in reversed(nodes))


def _backwards(node: Node) -> str:
    kind, value = node
    if kind is constants.SUBPATTERN:
        return _group(_reversed(list(value[3])))
    if kind is constants.BRANCH:
        return f"(?:{'|'.join(_reversed(list(branch)) for branch in value[1])})"
    if kind is constants.MAX_REPEAT:
        least, most, inner = value
        return _group(_reversed(list(inner))) + f"{{{least},{most}}}"
    return _written(node)


def _written(node: Node) -> str:
    kind, value = node
    return _character(kind, value) or _BOUNDS.get(value if kind is constants.AT else None) or _composed(kind, value)


def _character(kind: Any, value: Any) -> str | None:
    if kind is constants.LITERAL:
        return _char(value)
    if kind is constants.NOT_LITERAL:
        return f"[^{_char(value)}]"
    if kind is constants.ANY:
        return r"[^\n]"
    return _class(value) if kind is constants.IN else None


def _composed(kind: Any, value: Any) -> str:
    if kind is constants.SUBPATTERN:
        inner = forward(list(value[3]))
        return _group(inner) if value[0] is None else f"(?P<{VALUE}>{inner})"
    if kind is constants.BRANCH:
        return f"(?:{'|'.join(forward(list(branch)) for branch in value[1])})"
    least, most, inner = value
    return _group(forward(list(inner))) + f"{{{least},{most}}}"


def _class(items: list[Node]) -> str:
    negated = items[0][0] is constants.NEGATE
    inside = "".join(_member(item) for item in items if item[0] is not constants.NEGATE)
    return f"[{'^' if negated else ''}{inside}]"


def _member(item: Node) -> str:
    kind, value = item
    if kind is constants.LITERAL:
        return _char(value)
    if kind is constants.RANGE:
        return f"{_char(value[0])}-{_char(value[1])}"
    return _CATEGORIES.get(value) or _NOT_CATEGORIES[value]


def _char(code: int) -> str:
    char = chr(code)
    if char.isascii() and char.isalnum():
        return char
    return f"\\x{code:02x}" if code < 128 else f"\\x{{{code:x}}}"


def _group(text: str) -> str:
    return f"(?:{text})"


def _check(name: str, nodes: list[Node]) -> None:
    for kind, value in nodes:
        if kind is constants.MAX_REPEAT and value[1] is constants.MAXREPEAT:
            raise ConfigError(
                f"Rule '{name}' has a repeat without a bound, and all of a match is held back on a stream: "
                "write `{1,64}` instead of `+`, or end the rule by `until`."
            )
        if kind is constants.SUBPATTERN and (value[1] or value[2]):
            raise ConfigError(f"Rule '{name}' sets flags inside its pattern: use `caseless`.")
        if kind is constants.AT and value not in _BOUNDS:
            raise ConfigError(f"Rule '{name}' has an anchor, and a stream has no end to go by: use `\\b`.")
        if kind not in _KNOWN:
            raise ConfigError(
                f"Rule '{name}' uses what only a backtracking matcher can do ({str(kind).lower()}): write it without "
                "look-around, back-references, lazy and possessive repeats."
            )
        for inner in inner_nodes(kind, value):
            _check(name, inner)


def _without_groups(nodes: list[Node], kept: int | None) -> list[Node]:
    """Returns the nodes with no group that captures but the one numbered `kept`, as capturing costs time."""
    return [_without_group(kind, value, kept) for kind, value in nodes]


def _without_group(kind: Any, value: Any, kept: int | None) -> Node:
    if kind is constants.SUBPATTERN and value[0] != kept:
        value = (None, *value[1:])
    return with_inner(kind, value, [_without_groups(nodes, kept) for nodes in inner_nodes(kind, value)])
