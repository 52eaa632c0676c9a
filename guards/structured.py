"""Structured answers: JSON checked by a schema, and repaired where that needs no second answer.

Only the wrapping is repaired, never a value: what a repaired text holds is what the model wrote. A number at the very
end of a truncated text is dropped, as it may lack digits. Finding and repairing take linear time.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, NoReturn

from patchbay.core.schema.budget import BudgetSpent, StepBudget
from patchbay.core.schema.compiled import Schema, SchemaError, compile_schema

# The longest text that is checked, in characters.
LONGEST: Final = 1 << 20
# Errors that are reported for one answer.
_MOST_ERRORS: Final = 8
# Steps for all answers to one request, and further steps for each character of them.
_STEPS_AT_LEAST: Final = 8000
_STEPS_A_CHARACTER: Final = 2
# Characters of one error's path or message.
_ERROR_CHARS: Final = 160
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


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaResult:
    """The result of checking an answer by a schema.

    `value_ok`: whether `text` is JSON that fits the schema; `text`: the repaired answer, or the original one where no
    repair made it valid; `repaired`: the repairs, of 'fences', 'prose around', 'brackets', 'trailing comma'; `errors`:
    as 'path: what is wrong', which may quote the answer; `spent`: whether the check took too much work and was given
    up.
    """

    value_ok: bool
    text: str
    repaired: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    spent: bool = False


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A text that may be the answer, with the repairs that led to it."""

    text: str
    repairs: tuple[str, ...] = ()

    def then(self, text: str, repair: str) -> "_Candidate":
        return replace(self, text=text, repairs=(*self.repairs, repair))


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


class _NoJsonError(ValueError):
    pass


@dataclass(slots=True)
class Checks:
    """Checks the answers to one request by its schema. They share one budget of steps."""

    schema: Schema
    budget: StepBudget = field(default_factory=lambda: StepBudget(_STEPS_AT_LEAST))

    def check(self, text: str) -> SchemaResult:
        """Checks and repairs `text`; see the function `check`. A text that is over the budget is not valid."""
        if self.budget.left >= 0:
            self.budget.left += _STEPS_A_CHARACTER * len(text)
        return _checked(text, self)


def check(text: str, schema: Schema | Mapping[str, Any]) -> SchemaResult:
    """Checks `text` by `schema`, and repairs it where needed, by the cheapest repair first.

    A text that is valid stays as it is, and JSON that does not fit the schema is not repaired. Raises nothing, whatever
    the text is. The time is bounded by the length of the text, whatever the schema is: a text that needs more is not
    valid.

    Source: JSON Schema draft 2020-12; RFC 8259.
    """
    try:
        return Checks(schema if isinstance(schema, Schema) else compile_schema(schema)).check(text)
    except SchemaError as error:
        return SchemaResult(value_ok=False, text=text, errors=(f"schema: {error.message}",))


def _checked(text: str, checks: Checks) -> SchemaResult:
    if len(text) > LONGEST:
        return SchemaResult(value_ok=False, text=text, errors=(f"$: longer than {LONGEST} characters",))
    try:
        errors, is_json = _faults(text, checks)
        if not errors or is_json:
            return SchemaResult(value_ok=not errors, text=text, errors=errors)
        return _repaired(text, checks, errors)
    except BudgetSpent as error:
        return SchemaResult(value_ok=False, text=text, errors=(f"$: {error.message}",), spent=True)


def reask(errors: Sequence[str]) -> str:
    """Returns the message that asks a model for a second answer, with the errors of its first."""
    listed = "\n".join(f"- {error}" for error in errors)
    return (
        "Your last answer was not valid for the JSON schema that was asked for:\n"
        f"{listed}\n"
        "Answer once more with the whole corrected JSON document only: no Markdown fences, no text around it."
    )


def _repaired(text: str, checks: Checks, errors: tuple[str, ...]) -> SchemaResult:
    candidates = [_Candidate(text)]
    tried = {text}
    # The errors of the first candidate that is JSON say more than that the whole text is none.
    json_errors: tuple[str, ...] | None = None
    for repair in _REPAIRS:
        candidates = _unique(made for candidate in candidates for made in repair(candidate))
        for candidate in candidates:
            if candidate.text in tried:
                continue
            tried.add(candidate.text)
            faults, is_json = _faults(candidate.text, checks)
            if not faults:
                return SchemaResult(value_ok=True, text=candidate.text.strip(_SPACE), repaired=candidate.repairs)
            json_errors = faults if is_json and json_errors is None else json_errors
    return SchemaResult(value_ok=False, text=text, errors=json_errors or errors)


def _unique(candidates: Iterable[_Candidate]) -> list[_Candidate]:
    first: dict[str, _Candidate] = {}
    for candidate in candidates:
        first.setdefault(candidate.text, candidate)
    return list(first.values())


def _unfenced(candidate: _Candidate) -> Iterator[_Candidate]:
    """Yields the contents of fences, the longest first, then the text as it is."""
    for block in sorted(_blocks(candidate.text), key=len, reverse=True):
        yield candidate.then(block, "fences")
    yield candidate


def _blocks(text: str) -> Iterator[str]:
    at = 0
    while opening := _FENCE.search(text, at):
        end, at = _block_end(text, opening.end(), opening["fence"])
        yield text[opening.end() : end]


def _block_end(text: str, start: int, fence: str) -> tuple[int, int]:
    """Returns the end of a block's content, and the position after its closing fence."""
    # In an empty block, the line break before the closing fence is the one that ends the opening fence.
    for closing in _FENCE_END.finditer(text, start - 1):
        if closing["fence"].startswith(fence):
            return max(start, closing.start() + 1), closing.end()
    rest = text[start:].rstrip(_SPACE)
    return (start + len(rest.removesuffix(fence)) if rest.endswith(fence) else len(text)), len(text)


def _unwrapped(candidate: _Candidate) -> Iterator[_Candidate]:
    """Yields the values in a text, the longest first; the text as it is if there are none."""
    bare = candidate.text.strip(_SPACE)
    values = sorted(_values(candidate.text), key=len, reverse=True)
    for value in values:
        yield candidate if value.strip(_SPACE) == bare else candidate.then(value, "prose around")
    if not values:
        yield candidate


def _values(text: str) -> Iterator[str]:
    at, false_starts = 0, 0
    open_brackets: list[str] = []
    while false_starts < _MOST_FALSE_STARTS and (match := _BRACKET.search(text, at)):
        start, at = match.end() - 1, match.end()
        # A value inside brackets that are no JSON is not the answer, but a part of it.
        if match["value"] and not open_brackets:
            walk = _walk(text, start)
            if walk.outcome == "cut":
                yield text[start:]
                return
            if walk.outcome == "whole":
                yield text[start : walk.at]
                at = walk.at
                continue
            false_starts += 1
        _nest(open_brackets, text[start])


def _nest(open_brackets: list[str], bracket: str) -> None:
    if bracket in _CLOSERS:
        open_brackets.append(_CLOSERS[bracket])
    elif open_brackets and open_brackets[-1] == bracket:
        open_brackets.pop()


def _closed(candidate: _Candidate) -> Iterator[_Candidate]:
    """Yields a truncated value with its brackets closed; the text as it is if it is not truncated."""
    text = candidate.text
    start = len(text) - len(text.lstrip(_SPACE))
    walk = _walk(text, start)
    if walk.outcome == "cut" and walk.safe > start:
        yield candidate.then(text[start : walk.safe] + walk.tail + "".join(reversed(walk.closers)), "brackets")
    else:
        yield candidate


def _without_trailing_commas(candidate: _Candidate) -> Iterator[_Candidate]:
    walk = _walk(candidate.text, len(candidate.text) - len(candidate.text.lstrip(_SPACE)))
    yield candidate.then("".join(_between_commas(candidate.text, walk)), "trailing comma") if walk.commas else candidate


def _between_commas(text: str, walk: _Walk) -> Iterator[str]:
    start = 0
    for comma in walk.commas:
        yield text[start:comma]
        start = comma + 1
    yield text[start:]


# In order of cost; each works on all that the one before it made.
_Repair = Callable[[_Candidate], Iterator[_Candidate]]
_REPAIRS: Final[tuple[_Repair, ...]] = (_unfenced, _unwrapped, _closed, _without_trailing_commas)


def _faults(text: str, checks: Checks) -> tuple[tuple[str, ...], bool]:
    """Returns the faults of a text, and whether it is JSON at all."""
    try:
        value = _parsed(text)
    except _NoJsonError as error:
        return (f"$: not JSON: {_brief(str(error))}",), False
    faults = checks.schema.faults(value, checks.budget, _MOST_ERRORS)
    return tuple(f"{_brief(place)}: {_brief(message)}" for place, message in faults), True


def _parsed(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_no_constant)
    except RecursionError as error:
        raise _NoJsonError("nested too deeply") from error
    except ValueError as error:
        raise _NoJsonError(str(error)) from error


def _no_constant(name: str) -> NoReturn:
    raise _NoJsonError(f"{name} is no JSON number")


def _brief(message: str) -> str:
    """Returns the beginning and the end of a message: the fault is named at its end, after the value."""
    half = _ERROR_CHARS // 2
    return message if len(message) <= _ERROR_CHARS else f"{message[:half]}…{message[-half:]}"


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
