"""Has the engine write only what fits a guard's schema, where a request leaves that open. Pure.

Source: vLLM's structured outputs, by OpenAI's `response_format`.
"""

from collections.abc import Mapping
from typing import Any

# With one of these a request has its own mind about the answer's form.
_OPEN_NOT = ("tools", "response_format", "structured_outputs", "functions", "text")


def constrain(fields: dict[str, Any], endpoint: str, schema: Mapping[str, Any]) -> bool:
    """Asks for answers by `schema`, where `fields` ask for no other form. Returns whether they do now."""
    if any(fields.get(name) for name in _OPEN_NOT):
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
