"""Limits on the forms that requests ask answers to have: JSON schemas, regular expressions, grammars. Pure.

They apply before the engine compiles a form. vLLM has xgrammar read it in its front end, which answers nobody
meanwhile: 5,000 nested lists took it more than 15 s, 100,000 values to choose from as well, and 3,000 properties of one
object 5 s of the engine's time.

Source of the bounds on values and on characters: OpenAI's for structured outputs.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from patchbay.core.errors import InvalidRequest

# Limits of one form: levels of nesting, JSON values, properties of one object, values to choose from, characters in all
# and in one regular expression.
_MAX_DEPTH: Final = 100
_MAX_VALUES: Final = 20_000
_MAX_PROPERTIES: Final = 500
_MAX_CHOICES: Final = 1000
_MAX_CHARACTERS: Final = 120_000
_MAX_PATTERN_CHARACTERS: Final = 2000
# The request's fields that are forms, or have some in them.
_FIELDS: Final = (
    "response_format",
    "structured_outputs",
    "text",
    "output_config",
    "output_format",
    "tools",
    "functions",
)
# Keys whose text is a regular expression, and keys whose text may be JSON that is a form itself.
_PATTERNS: Final = ("regex", "pattern", "whitespace_pattern")
_JSON_IN_TEXT: Final = ("json", "structural_tag", "schema", "json_schema")


def check_forms(fields: Mapping[str, Any]) -> None:
    """Raises InvalidRequest where a form in a request's `fields` is too large to be compiled."""
    for name in _FIELDS:
        if fields.get(name):
            _Form(name).check(fields[name])


class _Form:
    """One form while it is checked, with counts of what it has. `field`: the request's field that it is in."""

    def __init__(self, field: str) -> None:
        self._field = field
        self._values = self._characters = self._choices = 0

    def check(self, form: Any) -> None:
        """Reads the form level by level, not recursively: a deep form must not exhaust Python's stack."""
        level = [(self._field, form)]
        for _ in range(_MAX_DEPTH):
            if not level:
                return
            level = [part for name, value in level for part in self._parts(name, value)]
        raise self._refusal(f"is nested more than {_MAX_DEPTH} deep")

    def _parts(self, name: str, value: Any) -> Iterator[tuple[str, Any]]:
        self._values += 1
        if isinstance(value, dict):
            yield from self._members(name, value)
        elif isinstance(value, list):
            self._choices += len(value) if name in ("enum", "choice") else 0
            yield from ((name, item) for item in value)
        elif isinstance(value, str):
            yield from self._text(name, value)
        self._check_limits()

    def _members(self, name: str, value: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
        if name in ("properties", "patternProperties") and len(value) > _MAX_PROPERTIES:
            raise self._refusal(f"has an object of more than {_MAX_PROPERTIES} properties")
        for key, member in value.items():
            self._characters += len(key)
            yield key, member

    def _text(self, name: str, value: str) -> Iterator[tuple[str, Any]]:
        self._characters += len(value)
        if name in _PATTERNS and len(value) > _MAX_PATTERN_CHARACTERS:
            raise self._refusal(f"has a regular expression of more than {_MAX_PATTERN_CHARACTERS} characters")
        if name in _JSON_IN_TEXT and value.lstrip().startswith(("{", "[")):
            try:
                yield name, msgspec.json.decode(value)
            except (msgspec.DecodeError, UnicodeDecodeError, UnicodeEncodeError):
                # The engine refuses what is not JSON, in its own words.
                return
            except RecursionError as error:
                raise self._refusal(f"is nested more than {_MAX_DEPTH} deep") from error

    def _check_limits(self) -> None:
        if self._values > _MAX_VALUES:
            raise self._refusal(f"has more than {_MAX_VALUES} values in it")
        if self._choices > _MAX_CHOICES:
            raise self._refusal(f"has more than {_MAX_CHOICES} values to choose from")
        if self._characters > _MAX_CHARACTERS:
            raise self._refusal(f"has more than {_MAX_CHARACTERS} characters in it")

    def _refusal(self, problem: str) -> InvalidRequest:
        return InvalidRequest(
            f"'{self._field}' {problem}, which takes too long to compile: ask for less.", param=self._field
        )
