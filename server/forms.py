"""The forms that requests ask answers to have (JSON schemas, regular expressions, grammars), bounded before the engine
compiles them. Pure.

vLLM has xgrammar read them in its front end, which answers nobody meanwhile: 5,000 lists in each other took it more
than 15 s, 100,000 values to choose from as well, and 3,000 properties of one object 5 s of the engine's time.

Source of the bounds on values and on characters: OpenAI's for structured outputs.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from patchbay.core.errors import InvalidRequest

# Of one form: JSON in each other, JSON values, properties of one object, values to choose from, characters of a text.
_DEEPEST: Final = 100
_MOST_VALUES: Final = 20_000
_MOST_PROPERTIES: Final = 500
_MOST_CHOICES: Final = 1000
_MOST_CHARACTERS: Final = 120_000
_LONGEST_PATTERN: Final = 2000
# Fields that are forms, or have some in them.
_FIELDS: Final = (
    "response_format",
    "structured_outputs",
    "text",
    "output_config",
    "output_format",
    "tools",
    "functions",
)
_PATTERNS: Final = ("regex", "pattern", "whitespace_pattern")
_JSON_IN_TEXT: Final = ("json", "structural_tag", "schema", "json_schema")


def check_forms(fields: Mapping[str, Any]) -> None:
    """Raises InvalidRequest where a form in a request's `fields` is larger than the engine is given to compile."""
    for name in _FIELDS:
        if fields.get(name):
            _Form(name).check(fields[name])


class _Form:
    def __init__(self, field: str) -> None:
        self._field = field
        self._values = self._characters = self._choices = 0

    def check(self, form: Any) -> None:
        """Reads the form level by level, so that no depth of it is one of Python's stack."""
        level = [(self._field, form)]
        for _ in range(_DEEPEST):
            if not level:
                return
            level = [part for name, value in level for part in self._parts(name, value)]
        raise self._refused(f"is nested more than {_DEEPEST} deep")

    def _parts(self, name: str, value: Any) -> Iterator[tuple[str, Any]]:
        self._values += 1
        if isinstance(value, dict):
            yield from self._members(name, value)
        elif isinstance(value, list):
            self._choices += len(value) if name in ("enum", "choice") else 0
            yield from ((name, one) for one in value)
        elif isinstance(value, str):
            yield from self._text(name, value)
        self._bound()

    def _members(self, name: str, value: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
        if name in ("properties", "patternProperties") and len(value) > _MOST_PROPERTIES:
            raise self._refused(f"has an object of more than {_MOST_PROPERTIES} properties")
        for key, one in value.items():
            self._characters += len(key)
            yield key, one

    def _text(self, name: str, value: str) -> Iterator[tuple[str, Any]]:
        self._characters += len(value)
        if name in _PATTERNS and len(value) > _LONGEST_PATTERN:
            raise self._refused(f"has a regular expression of more than {_LONGEST_PATTERN} characters")
        if name in _JSON_IN_TEXT and value.lstrip().startswith(("{", "[")):
            try:
                yield name, msgspec.json.decode(value)
            except (msgspec.DecodeError, UnicodeDecodeError, UnicodeEncodeError):
                # What is no JSON is the engine's to refuse, with its own words.
                return
            except RecursionError as error:
                raise self._refused(f"is nested more than {_DEEPEST} deep") from error

    def _bound(self) -> None:
        if self._values > _MOST_VALUES:
            raise self._refused(f"has more than {_MOST_VALUES} values in it")
        if self._choices > _MOST_CHOICES:
            raise self._refused(f"has more than {_MOST_CHOICES} values to choose from")
        if self._characters > _MOST_CHARACTERS:
            raise self._refused(f"has more than {_MOST_CHARACTERS} characters in it")

    def _refused(self, what: str) -> InvalidRequest:
        return InvalidRequest(
            f"'{self._field}' {what}, which takes too long to compile: ask for less.", param=self._field
        )
