"""Prompt templates: texts with variables, whose values are inserted as they are and never evaluated. Pure."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from patchbay.core.schema.budget import BudgetSpent, StepBudget
from patchbay.core.schema.compiled import Schema

# The most steps of a check of variables against their schema: less than 20 ms.
_STEPS = 8000
_VARIABLE = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")
# Keys of a schema by which an object may have more than `properties` says.
_OPEN = ("patternProperties", "propertyNames", "$ref", "$dynamicRef", "allOf", "anyOf", "oneOf", "if", "not")


class RoleAndText(Protocol):
    """A message of a template."""

    @property
    def role(self) -> str:
        """The role of its author."""

    @property
    def content(self) -> str:
        """Its text, with variables."""


class Template(Protocol):
    """A template, as the configuration has it."""

    @property
    def id(self) -> str:
        """Its name."""

    @property
    def version(self) -> int:
        """The version, of all those with the same id."""

    @property
    def messages(self) -> Sequence[RoleAndText]:
        """The messages that it adds."""

    @property
    def variables(self) -> Mapping[str, Any]:
        """The JSON schema of its variables."""

    @property
    def compiled(self) -> Schema:
        """The compiled schema."""


def render(template: Template, given: Any, refusal: Callable[[str], Exception]) -> list[tuple[str, str]]:
    """Returns the template's messages, as role and text, with the variables `given` inserted.

    `refusal`: makes the exception that is raised, from a message, where variables do not fit the schema or one is
    missing. There is one pass only: variables in the value of a variable stay as they are.
    """
    values = _with_defaults(template.variables, given)
    for place, fault in _faults(template, values):
        which = f"variable '{place.removeprefix('$.')}'" if place != "$" else "variables"
        raise refusal(f"template {template.id}@{template.version}: {which}: {_brief(fault)}")
    return [(message.role, _filled(template, message.content, values, refusal)) for message in template.messages]


def unknown_variables(content: str, schema: Mapping[str, Any]) -> list[str]:
    """Lists the variables in `content` that no request can be known to give: `schema` names them neither under
    `properties` nor as required, and says nothing else of further ones."""
    if any(key in schema for key in _OPEN) or schema.get("additionalProperties", False) is not False:
        return []
    properties, required = schema.get("properties"), schema.get("required")
    known = {*(properties if isinstance(properties, dict) else ()), *(required if isinstance(required, list) else ())}
    return [name for name in dict.fromkeys(_VARIABLE.findall(content)) if name not in known]


def _faults(template: Template, values: Any) -> list[tuple[str, str]]:
    try:
        return template.compiled.faults(values, StepBudget(_STEPS), 1)
    except BudgetSpent as spent:
        return [("$", spent.message)]


def _filled(template: Template, content: str, values: Mapping[str, Any], refusal: Callable[[str], Exception]) -> str:
    def value(match: re.Match[str]) -> str:
        if match[1] not in values:
            raise refusal(f"template {template.id}@{template.version}: there is no variable '{match[1]}'")
        found = values[match[1]]
        return found if isinstance(found, str) else json.dumps(found, ensure_ascii=False)

    return _VARIABLE.sub(value, content)


def _with_defaults(schema: Mapping[str, Any], given: Any) -> Any:
    if not isinstance(given, dict):
        return given
    properties = schema.get("properties")
    known = properties if isinstance(properties, dict) else {}
    declared = {key: schema for key, schema in known.items() if isinstance(schema, dict)}
    defaults = {key: schema["default"] for key, schema in declared.items() if "default" in schema}
    return {**defaults, **given}


def _brief(message: str) -> str:
    return message if len(message) <= 160 else f"{message[:157]}…"
