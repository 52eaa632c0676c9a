"""Structured answers: JSON checked by a schema, and repaired where that needs no second answer.

Only the wrapping is repaired, never a value: what a repaired text holds is what the model wrote. A number at the very
end of a truncated text is dropped, as it may lack digits. Finding and repairing take linear time.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn

from patchbay.core.schema.budget import BudgetSpent, StepBudget
from patchbay.core.schema.compiled import Schema, SchemaError, compile_schema
from patchbay.guards.answer_json import FoundValue, closed, found_values, without_trailing_commas

# The longest text that is checked, in characters.
LONGEST: Final = 1 << 20
# Errors that are reported for one answer.
_MOST_ERRORS: Final = 8
# Steps for all answers to one request, and further steps for each character of them.
_STEPS_AT_LEAST: Final = 8000
_STEPS_A_CHARACTER: Final = 2
_SPACE: Final = " \t\r\n"
# Characters of one error's path or message.
_ERROR_CHARS: Final = 160


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaResult:
    """The result of checking an answer by a schema.

    `value_ok`: whether `text` is JSON that fits the schema; `text`: the repaired answer, or the original one where no
    repair made it valid; `repaired`: the repairs, of 'reasoning', 'fences', 'prose around', 'brackets' (closed where
    the answer was cut off), 'trailing comma'; `dropped`: whether something of the answer was left out for that, the
    beginning of a value or another value that fits; `errors`: as 'path: what is wrong', which may quote the answer;
    `spent`: whether the check took too much work and was given up.
    """

    value_ok: bool
    text: str
    repaired: tuple[str, ...] = ()
    dropped: bool = False
    errors: tuple[str, ...] = ()
    spent: bool = False


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
    # The errors of the first value that is JSON say more than that the whole text is none.
    json_errors: tuple[str, ...] | None = None
    found = found_values(text)
    for value in found:
        repairs = value.wrapping if value.whole else (*value.wrapping, "brackets")
        made, dropped = (value.text, False) if value.whole else closed(value.text)
        for candidate, label in _each(made):
            faults, is_json = _faults(candidate, checks)
            if not faults:
                dropped = dropped or _leaves_others(found, value, checks)
                repaired = (*repairs, *label)
                return SchemaResult(value_ok=True, text=candidate.strip(_SPACE), repaired=repaired, dropped=dropped)
            json_errors = faults if is_json and json_errors is None else json_errors
            if is_json:
                break
    return SchemaResult(value_ok=False, text=text, errors=json_errors or errors)


def _each(made: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yields a value as it is, and without its trailing commas where it has some."""
    yield made, ()
    if (shorter := without_trailing_commas(made)) != made:
        yield shorter, ("trailing comma",)


def _leaves_others(found: Sequence[FoundValue], taken: FoundValue, checks: Checks) -> bool:
    """Says whether there are other whole values that fit, which are no examples, so that an answer is left out."""
    others = (value for value in found if value.whole and not value.example and value.start < taken.start)
    try:
        return any(not _faults(value.text, checks)[0] for value in others)
    except BudgetSpent:
        return True


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
