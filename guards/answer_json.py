"""JSON in answers: the values that stand in a text, whole or cut off, in fences or prose. Pure.

Only the wrapping is looked at, never a value. All of it takes linear time.

Source: RFC 8259.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

_SPACE: Final = " \t\r\n"
_FENCE = re.compile(r"^[ \t]*(?P<fence>`{3,}|~{3,})(?:[ \t]*(?:[\w.+-]*[ \t]*\r?\n|json\b))?", re.MULTILINE)
_FENCE_END = re.compile(r"\n[ \t]*(?P<fence>`{3,}|~{3,})[ \t]*\r?$", re.MULTILINE)
# Brackets; the group `value` only where a JSON value may begin, which those of "[see below]" and "{name}" do not.
_BRACKET = re.compile(
    r'(?P<value>\A[ \t\r\n]*+"|\{(?=[ \t\r\n]*+(?:["}]|\Z))'
    r'|\[(?=[ \t\r\n]*+(?:[\]\[{"0-9-]|true|false|null|[tfn][a-z]{0,3}\Z|\Z)))|[\[\]{}]'
)
# Places that look like JSON and are not, after which the search for values ends: each may cost a walk to the end.
_MOST_FALSE_STARTS: Final = 16
# Nested brackets: fewer than the json module can read at any depth of Python's stack.
_DEEPEST: Final = 256
_TOKEN = re.compile(
    r'[ \t\r\n]*+(?:(?P<string>"(?:[^"\\]++|\\.?+)*+"?+)|(?P<open>[\[{])|(?P<close>[\]}])|(?P<comma>,)|(?P<colon>:)'
    r"|(?P<plain>[-+.0-9A-Za-z]++)|(?P<end>\Z))",
    re.DOTALL,
)
_WHOLE_STRING = re.compile(r'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?")
_WORDS: Final = ("true", "false", "null")
_PARTIAL_NUMBER = re.compile(r"-?(?:(?:0|[1-9][0-9]*+)(?:\.[0-9]*+)?(?:[eE][+-]?[0-9]*+)?)?")
# What a truncated string may end in that is no character: half an escape, half a surrogate pair.
_RAGGED = re.compile(r"(?<!\\)(?:\\\\)*+(?P<cut>(?:\\u[dD][89abAB][0-9a-fA-F]{2})?(?:\\(?:u[0-9a-fA-F]{0,3})?)?)\Z")
_CLOSERS: Final = {"[": "]", "{": "}"}
_Place = Literal["value", "item", "next item", "key", "next key", "colon", "after"]
_VALUES: Final = frozenset({"string", "plain", "open"})
# The tokens that may come at each place of a JSON text; trailing commas are let pass.
_ALLOWED: Final[Mapping[_Place, frozenset[str]]] = {
    "value": _VALUES,
    "item": _VALUES | {"close"},
    "next item": _VALUES | {"close"},
    "key": frozenset({"string", "close"}),
    "next key": frozenset({"string", "close"}),
    "colon": frozenset({"colon"}),
    "after": frozenset({"comma", "close"}),
}
# The end of a model's thoughts, and their beginning. The beginning may be missing: some templates write it.
_THOUGHTS_END = re.compile(r"</(?:think|thinking|reasoning)>", re.IGNORECASE)
_THOUGHTS = re.compile(r"<(?:think|thinking|reasoning)>", re.IGNORECASE)
# Words before a value that call it an example, in the characters right before it.
_EXAMPLE = re.compile(r"(?:\be\.?g\.?|\bfor instance|\bexamples?\b)[^.\n{}\[\]]{0,40}\Z", re.IGNORECASE)
_BEFORE: Final = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundValue:
    """A value that stands in a text. `text`: from its first character on; `start`: that character's position; `whole`:
    whether it ends, and not only the text; `wrapping`: what stands around it, 'reasoning', 'fences', 'prose around';
    `example`: whether the text calls it an example."""

    text: str
    start: int
    whole: bool
    wrapping: tuple[str, ...] = ()
    example: bool = False


@dataclass(slots=True, kw_only=True)
class _Walk:
    """The state of reading one value of a text in one pass.

    `at`: the position of the next token; `outcome`: 'whole' (the value ends before `at`), 'cut' (the text ends first)
    or 'wrong' (no JSON from `at` on); `commas`: the positions of trailing commas. A truncated value is made whole by
    the text before `safe`, then `tail`, then the `closers` from the last to the first; trailing commas stay in it.
    `place`: what may come next; `comma`: the position of the last comma.
    """

    text: str
    at: int
    safe: int
    outcome: Literal["whole", "cut", "wrong"] | None = None
    tail: str = ""
    closers: list[str] = field(default_factory=list)
    commas: list[int] = field(default_factory=list)
    place: _Place = "value"
    comma: int = -1


def found_values(text: str) -> list[FoundValue]:
    """Returns the values of a text behind its thoughts, in the order in which they may be its answer: whole ones first,
    and of these the last, but for those that are called examples."""
    start, end = _spoken(text)
    reasoning = ("reasoning",) if start or end < len(text) else ()
    found = list(_found(text[:end], start, reasoning))
    return sorted(found, key=lambda value: (not value.whole, value.example, -value.start))


def closed(text: str) -> tuple[str, bool]:
    """Returns a value that was cut off with its brackets closed, and whether something of it was dropped for that; the
    text as it is where nothing of it can be kept."""
    walk = _walk(text, 0)
    if walk.outcome != "cut" or walk.safe == 0:
        return text, False
    ending = walk.tail + "".join(reversed(walk.closers))
    return text[: walk.safe] + ending, bool(text[walk.safe :].strip(_SPACE + ",")) and not walk.tail


def without_trailing_commas(text: str) -> str:
    """Returns a value without the commas after which nothing comes."""
    return "".join(_between_commas(text, _walk(text, len(text) - len(text.lstrip(_SPACE)))))


def _spoken(text: str) -> tuple[int, int]:
    """Returns the place of what a model says beside its thoughts."""
    start = max((match.end() for match in _THOUGHTS_END.finditer(text)), default=0)
    thoughts = _THOUGHTS.search(text, start)
    return start, thoughts.start() if thoughts else len(text)


def _found(text: str, start: int, reasoning: tuple[str, ...]) -> Iterator[FoundValue]:
    at = start
    for first, last, after in _blocks(text, start):
        yield from _in_part(text, at, first, reasoning)
        yield from _in_part(text, first, last, (*reasoning, "fences"))
        at = after
    yield from _in_part(text, at, len(text), reasoning)


def _in_part(text: str, start: int, end: int, wrapping: tuple[str, ...]) -> Iterator[FoundValue]:
    part = text[start:end]
    bare = part.strip(_SPACE)
    values = list(_values(part))
    if not values and wrapping and bare:
        # A number or a word may be all that is in fences.
        yield FoundValue(text=part, start=start, whole=True, wrapping=wrapping)
    for place, value, whole in values:
        alone = value.strip(_SPACE) == bare and (wrapping or end - start == len(text))
        at = start + place
        example = _EXAMPLE.search(text, max(0, at - _BEFORE), at) is not None
        around = wrapping if alone else (*wrapping, "prose around")
        yield FoundValue(text=value, start=at, whole=whole, wrapping=around, example=example)


def _blocks(text: str, at: int) -> Iterator[tuple[int, int, int]]:
    """Yields where the contents of fences begin and end, and where the text goes on behind them."""
    while opening := _FENCE.search(text, at):
        end, at = _block_end(text, opening.end(), opening["fence"])
        yield opening.end(), end, at


def _block_end(text: str, start: int, fence: str) -> tuple[int, int]:
    """Returns the end of a block's content, and the position after its closing fence."""
    # In an empty block, the line break before the closing fence is the one that ends the opening fence.
    for closing in _FENCE_END.finditer(text, start - 1):
        if closing["fence"].startswith(fence):
            return max(start, closing.start() + 1), closing.end()
    rest = text[start:].rstrip(_SPACE)
    return (start + len(rest.removesuffix(fence)) if rest.endswith(fence) else len(text)), len(text)


def _values(text: str) -> Iterator[tuple[int, str, bool]]:
    """Yields the values of a text that are in no other: where each begins, itself, and whether it is whole."""
    at, false_starts = 0, 0
    open_brackets: list[str] = []
    while false_starts < _MOST_FALSE_STARTS and (match := _BRACKET.search(text, at)):
        start, at = match.end() - 1, match.end()
        # A value inside brackets that are no JSON is not the answer, but a part of it.
        if match["value"] and not open_brackets:
            walk = _walk(text, start)
            if walk.outcome == "cut":
                yield start, text[start:], False
                return
            if walk.outcome == "whole":
                yield start, text[start : walk.at], True
                at = walk.at
                continue
            false_starts += 1
        _nest(open_brackets, text[start])


def _nest(open_brackets: list[str], bracket: str) -> None:
    if bracket in _CLOSERS:
        open_brackets.append(_CLOSERS[bracket])
    elif open_brackets and open_brackets[-1] == bracket:
        open_brackets.pop()


def _between_commas(text: str, walk: _Walk) -> Iterator[str]:
    start = 0
    for comma in walk.commas:
        yield text[start:comma]
        start = comma + 1
    yield text[start:]


def _walk(text: str, start: int) -> _Walk:
    """Reads the value that begins at `start`, and lets trailing commas pass. Brackets deeper than `_DEEPEST` are
    wrong."""
    walk = _Walk(text=text, at=start, safe=start)
    while walk.outcome is None:
        token = _TOKEN.match(text, walk.at)
        kind = token.lastgroup if token else None
        if token is None or kind is None:
            walk.outcome = "wrong"
        elif kind == "end":
            walk.outcome = "cut"
        elif kind not in _ALLOWED[walk.place]:
            walk.outcome = "wrong"
        else:
            _READ[kind](walk, token.start(kind), token.end())
    return walk


def _string(walk: _Walk, start: int, end: int) -> None:
    is_key = walk.place in {"key", "next key"}
    if end == len(walk.text) and not _WHOLE_STRING.fullmatch(walk.text, start):
        walk.outcome = "cut"
        ragged = None if is_key else _RAGGED.search(walk.text, start + 1)
        if ragged:
            walk.safe, walk.tail = ragged.start("cut"), '"'
    elif is_key:
        walk.at, walk.place = end, "colon"
    else:
        _value_ends(walk, end)


def _plain(walk: _Walk, start: int, end: int) -> None:
    token = walk.text[start:end]
    # A number that ends with the text may lack digits.
    if token in _WORDS or (end < len(walk.text) and _NUMBER.fullmatch(token)):
        _value_ends(walk, end)
    elif end == len(walk.text) and _is_partial(token):
        walk.outcome = "cut"
    else:
        walk.outcome = "wrong"


def _is_partial(token: str) -> bool:
    return any(word.startswith(token) for word in _WORDS) or _PARTIAL_NUMBER.fullmatch(token) is not None


def _open(walk: _Walk, start: int, end: int) -> None:
    if len(walk.closers) == _DEEPEST:
        walk.outcome = "wrong"
        return
    bracket = walk.text[start]
    walk.closers.append(_CLOSERS[bracket])
    walk.place = "item" if bracket == "[" else "key"
    walk.at = walk.safe = end


def _close(walk: _Walk, start: int, end: int) -> None:
    if walk.closers[-1] != walk.text[start]:
        walk.outcome = "wrong"
        return
    if walk.place in {"next item", "next key"}:
        walk.commas.append(walk.comma)
    walk.closers.pop()
    _value_ends(walk, end)


def _comma(walk: _Walk, start: int, end: int) -> None:
    walk.comma, walk.at = start, end
    walk.place = "next item" if walk.closers[-1] == "]" else "next key"


def _colon(walk: _Walk, _start: int, end: int) -> None:
    walk.at, walk.place = end, "value"


def _value_ends(walk: _Walk, end: int) -> None:
    walk.at = walk.safe = end
    walk.place = "after"
    if not walk.closers:
        walk.outcome = "whole"


_READ: Final[Mapping[str, Callable[[_Walk, int, int], None]]] = {
    "string": _string,
    "plain": _plain,
    "open": _open,
    "close": _close,
    "comma": _comma,
    "colon": _colon,
}
