"""JSON answers held to a schema: is it what was asked for, and if not, can it be made so without asking again?

Only the wrapping is repaired, never a value: what a repaired text holds is what the model wrote. A number at the very
end of a truncated text is dropped, as it may lack digits. Finding and repairing cost linear time.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, NoReturn

from patchbay.core.schema.budget import BudgetSpent, StepBudget
from patchbay.core.schema.compiled import Schema, SchemaError, compile_schema

# Characters of a text that are looked at; errors that are told; characters of one error's path or message.
LONGEST: Final = 1 << 20
_MOST_ERRORS: Final = 8
# Steps for answers to one request, and for each character of them.
_STEPS_AT_LEAST: Final = 8000
_STEPS_A_CHARACTER: Final = 2
_ERROR_CHARS: Final = 160
_SPACE: Final = " \t\r\n"
_FENCE = re.compile(r"^[ \t]*(?P<fence>`{3,}|~{3,})(?:[ \t]*(?:[\w.+-]*[ \t]*\r?\n|json\b))?", re.MULTILINE)
_FENCE_END = re.compile(r"\n[ \t]*(?P<fence>`{3,}|~{3,})[ \t]*\r?$", re.MULTILINE)
# Brackets, and where a value may begin: not at those of "[see below]" or "{name}".
_BRACKET = re.compile(
    r'(?P<value>\A[ \t\r\n]*+"|\{(?=[ \t\r\n]*+(?:["}]|\Z))'
    r'|\[(?=[ \t\r\n]*+(?:[\]\[{"0-9-]|true|false|null|[tfn][a-z]{0,3}\Z|\Z)))|[\[\]{}]'
)
# Places at which a text looks like JSON and is not: after so many, no more is looked for.
_MOST_WRONG: Final = 16
# Brackets in each other: below what json can read at any depth of the stack.
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
_MAY_COME: Final[Mapping[_Place, frozenset[str]]] = {
    "value": _VALUES,
    "item": _VALUES | {"close"},
    "next item": _VALUES | {"close"},
    "key": frozenset({"string", "close"}),
    "next key": frozenset({"string", "close"}),
    "colon": frozenset({"colon"}),
    "after": frozenset({"comma", "close"}),
}


@dataclass(frozen=True, slots=True)
class SchemaResult:
    """`text`: the repaired answer, or the original one where nothing made it valid; `repaired`: what was done, of
    'fences', 'prose around', 'brackets', 'trailing comma'; `errors`: 'path: what is wrong', which may quote the answer;
    `spent`: whether it took too much work to find out."""

    value_ok: bool
    text: str
    repaired: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    spent: bool = False


@dataclass(frozen=True, slots=True)
class _Try:
    text: str
    done: tuple[str, ...] = ()

    def then(self, text: str, what: str) -> "_Try":
        return replace(self, text=text, done=(*self.done, what))


@dataclass(slots=True)
class _Walk:
    """One value of a text, read in one pass. `outcome`: 'whole' (it ends before `at`), 'cut' (the text ends first) or
    'wrong' (no JSON from `at` on); `commas`: where there are trailing ones. Of a truncated value, the text before
    `safe`, `tail` and the `closers`, last first, make a whole one, but for trailing commas."""

    text: str
    at: int
    safe: int
    outcome: Literal["whole", "cut", "wrong"] | None = None
    tail: str = ""
    closers: list[str] = field(default_factory=list)
    commas: list[int] = field(default_factory=list)
    place: _Place = "value"
    comma: int = -1


class _NoJsonError(ValueError):
    pass


@dataclass(slots=True)
class Checks:
    """The answers to one request, held to its schema: they share one budget of steps."""

    schema: Schema
    budget: StepBudget = field(default_factory=lambda: StepBudget(_STEPS_AT_LEAST))

    def check(self, text: str) -> SchemaResult:
        """As `check` does. What is over the budget is not valid."""
        if self.budget.left >= 0:
            self.budget.left += _STEPS_A_CHARACTER * len(text)
        return _checked(text, self)


def check(text: str, schema: Schema | Mapping[str, Any]) -> SchemaResult:
    """Holds `text` to `schema`, and repairs it if need be, cheapest first. A text that is valid stays as it is, and one
    that is JSON but not what the schema asks for is not repaired. Raises nothing, whatever the text is, and takes time
    as its length, whatever the schema is: beyond that it is not valid.

    Source: JSON Schema draft 2020-12; RFC 8259.
    """
    try:
        return Checks(schema if isinstance(schema, Schema) else compile_schema(schema)).check(text)
    except SchemaError as fault:
        return SchemaResult(False, text, errors=(f"schema: {fault.message}",))


def _checked(text: str, checks: Checks) -> SchemaResult:
    if len(text) > LONGEST:
        return SchemaResult(False, text, errors=(f"$: longer than {LONGEST} characters",))
    try:
        errors, is_json = _faults(text, checks)
        if not errors or is_json:
            return SchemaResult(not errors, text, errors=errors)
        return _repaired(text, checks, errors)
    except BudgetSpent as fault:
        return SchemaResult(False, text, errors=(f"$: {fault.message}",), spent=True)


def reask(errors: Sequence[str]) -> str:
    """The message that asks a model once more, with what was wrong with its answer."""
    listed = "\n".join(f"- {error}" for error in errors)
    return (
        "Your last answer was not valid for the JSON schema that was asked for:\n"
        f"{listed}\n"
        "Answer once more with the whole corrected JSON document only: no Markdown fences, no text around it."
    )


def _repaired(text: str, checks: Checks, errors: tuple[str, ...]) -> SchemaResult:
    tries = [_Try(text)]
    seen = {text}
    found: tuple[str, ...] | None = None
    for step in _STEPS:
        tries = _once_each(made for one in tries for made in step(one))
        for one in tries:
            if one.text in seen:
                continue
            seen.add(one.text)
            faults, is_json = _faults(one.text, checks)
            if not faults:
                return SchemaResult(True, one.text.strip(_SPACE), one.done)
            found = faults if is_json and found is None else found
    return SchemaResult(False, text, errors=found or errors)


def _once_each(tries: Iterable[_Try]) -> list[_Try]:
    first: dict[str, _Try] = {}
    for one in tries:
        first.setdefault(one.text, one)
    return list(first.values())


def _unfenced(one: _Try) -> Iterator[_Try]:
    """What is in fences, the longest first; then the text as it is."""
    for block in sorted(_blocks(one.text), key=len, reverse=True):
        yield one.then(block, "fences")
    yield one


def _blocks(text: str) -> Iterator[str]:
    at = 0
    while opening := _FENCE.search(text, at):
        end, at = _block_end(text, opening.end(), opening["fence"])
        yield text[opening.end() : end]


def _block_end(text: str, start: int, fence: str) -> tuple[int, int]:
    """Where a block ends, and where the text goes on."""
    # The line break that a block's closing begins with may be the one that its opening ends with.
    for closing in _FENCE_END.finditer(text, start - 1):
        if closing["fence"].startswith(fence):
            return max(start, closing.start() + 1), closing.end()
    rest = text[start:].rstrip(_SPACE)
    return (start + len(rest.removesuffix(fence)) if rest.endswith(fence) else len(text)), len(text)


def _unwrapped(one: _Try) -> Iterator[_Try]:
    """The values in a text, the longest first; the text as it is if there are none."""
    bare = one.text.strip(_SPACE)
    values = sorted(_values(one.text), key=len, reverse=True)
    for value in values:
        yield one if value.strip(_SPACE) == bare else one.then(value, "prose around")
    if not values:
        yield one


def _values(text: str) -> Iterator[str]:
    at, wrong = 0, 0
    around: list[str] = []
    while wrong < _MOST_WRONG and (found := _BRACKET.search(text, at)):
        start, at = found.end() - 1, found.end()
        # What is inside of something that is no JSON is not the answer, but a part of it.
        if found["value"] and not around:
            seen = _walk(text, start)
            if seen.outcome == "cut":
                yield text[start:]
                return
            if seen.outcome == "whole":
                yield text[start : seen.at]
                at = seen.at
                continue
            wrong += 1
        _nest(around, text[start])


def _nest(around: list[str], bracket: str) -> None:
    if bracket in _CLOSERS:
        around.append(_CLOSERS[bracket])
    elif around and around[-1] == bracket:
        around.pop()


def _closed(one: _Try) -> Iterator[_Try]:
    start = len(one.text) - len(one.text.lstrip(_SPACE))
    seen = _walk(one.text, start)
    if seen.outcome == "cut" and seen.safe > start:
        yield one.then(one.text[start : seen.safe] + seen.tail + "".join(reversed(seen.closers)), "brackets")
    else:
        yield one


def _without_trailing_commas(one: _Try) -> Iterator[_Try]:
    seen = _walk(one.text, len(one.text) - len(one.text.lstrip(_SPACE)))
    yield one.then("".join(_around(one.text, seen)), "trailing comma") if seen.commas else one


def _around(text: str, seen: _Walk) -> Iterator[str]:
    start = 0
    for comma in seen.commas:
        yield text[start:comma]
        start = comma + 1
    yield text[start:]


_STEPS: Final[tuple[Callable[[_Try], Iterator[_Try]], ...]] = (_unfenced, _unwrapped, _closed, _without_trailing_commas)


def _faults(text: str, checks: Checks) -> tuple[tuple[str, ...], bool]:
    """What is wrong with a text, and whether it is JSON at all."""
    try:
        value = _parsed(text)
    except _NoJsonError as fault:
        return (f"$: not JSON: {_brief(str(fault))}",), False
    found = checks.schema.faults(value, checks.budget, _MOST_ERRORS)
    return tuple(f"{_brief(place)}: {_brief(what)}" for place, what in found), True


def _parsed(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_no_constant)
    except RecursionError as fault:
        raise _NoJsonError("nested too deeply") from fault
    except ValueError as fault:
        raise _NoJsonError(str(fault)) from fault


def _no_constant(name: str) -> NoReturn:
    raise _NoJsonError(f"{name} is no JSON number")


def _brief(message: str) -> str:
    """The beginning and the end: what is wrong comes last, after the value."""
    half = _ERROR_CHARS // 2
    return message if len(message) <= _ERROR_CHARS else f"{message[:half]}…{message[-half:]}"


def _walk(text: str, start: int) -> _Walk:
    """Reads the value that begins at `start`, over trailing commas; brackets deeper than `_DEEPEST` are wrong."""
    seen = _Walk(text, at=start, safe=start)
    while seen.outcome is None:
        token = _TOKEN.match(text, seen.at)
        kind = token.lastgroup if token else None
        if token is None or kind is None:
            seen.outcome = "wrong"
        elif kind == "end":
            seen.outcome = "cut"
        elif kind not in _MAY_COME[seen.place]:
            seen.outcome = "wrong"
        else:
            _READ[kind](seen, token.start(kind), token.end())
    return seen


def _string(seen: _Walk, start: int, end: int) -> None:
    is_key = seen.place in {"key", "next key"}
    if end == len(seen.text) and not _WHOLE_STRING.fullmatch(seen.text, start):
        seen.outcome = "cut"
        ragged = None if is_key else _RAGGED.search(seen.text, start + 1)
        if ragged:
            seen.safe, seen.tail = ragged.start("cut"), '"'
    elif is_key:
        seen.at, seen.place = end, "colon"
    else:
        _value_ends(seen, end)


def _plain(seen: _Walk, start: int, end: int) -> None:
    found = seen.text[start:end]
    if found in _WORDS or (end < len(seen.text) and _NUMBER.fullmatch(found)):
        _value_ends(seen, end)
    elif end == len(seen.text) and _is_partial(found):
        seen.outcome = "cut"
    else:
        seen.outcome = "wrong"


def _is_partial(found: str) -> bool:
    return any(word.startswith(found) for word in _WORDS) or _PARTIAL_NUMBER.fullmatch(found) is not None


def _open(seen: _Walk, start: int, end: int) -> None:
    if len(seen.closers) == _DEEPEST:
        seen.outcome = "wrong"
        return
    bracket = seen.text[start]
    seen.closers.append(_CLOSERS[bracket])
    seen.place = "item" if bracket == "[" else "key"
    seen.at = seen.safe = end


def _close(seen: _Walk, start: int, end: int) -> None:
    if seen.closers[-1] != seen.text[start]:
        seen.outcome = "wrong"
        return
    if seen.place in {"next item", "next key"}:
        seen.commas.append(seen.comma)
    seen.closers.pop()
    _value_ends(seen, end)


def _comma(seen: _Walk, start: int, end: int) -> None:
    seen.comma, seen.at = start, end
    seen.place = "next item" if seen.closers[-1] == "]" else "next key"


def _colon(seen: _Walk, _start: int, end: int) -> None:
    seen.at, seen.place = end, "value"


def _value_ends(seen: _Walk, end: int) -> None:
    seen.at = seen.safe = end
    seen.place = "after"
    if not seen.closers:
        seen.outcome = "whole"


_READ: Final[Mapping[str, Callable[[_Walk, int, int], None]]] = {
    "string": _string,
    "plain": _plain,
    "open": _open,
    "close": _close,
    "comma": _comma,
    "colon": _colon,
}
