"""Constrained generation: a guard's schema put into a request that asks for no other form. Pure.

Source: vLLM's structured outputs, by OpenAI's `response_format`.
"""

from collections.abc import Mapping
from typing import Any

# A request with one of these fields decides the form of its answer itself.
_FORM_FIELDS = ("tools", "response_format", "structured_outputs", "functions", "text")


def constrain(fields: dict[str, Any], endpoint: str, schema: Mapping[str, Any]) -> bool:
    """Changes a request so that the engine generates by `schema`, unless it asks for another form.

    `fields`: the request, changed in place; `endpoint`: the endpoint's name. Returns whether it was changed.
    """
    if any(fields.get(name) for name in _FORM_FIELDS):
        return False
    form = {"type": "json_schema", "name": "guard", "schema": schema}
    if endpoint in ("chat_completions", "completions"):
        inner = {"name": "guard", "schema": schema}
        fields["response_format"] = {"type": "json_schema", "json_schema": inner}
    elif endpoint == "responses":
        fields["text"] = {"format": form}
    else:
        return False
    return True
