"""Requests to think, of a base model that cannot: dropped where they are an option, refused elsewhere. Pure.

vLLM answers both with a message for whoever starts the engine.
"""

from collections.abc import Mapping
from typing import Any

from patchbay.core.errors import InvalidRequest

_MESSAGES = frozenset({"/v1/messages", "/v1/messages/count_tokens"})
_BUDGET = "thinking_token_budget"


def without_thinking(path: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Returns `fields`, a request's, as a model can answer them that does not think.

    Anthropic's clients ask every model to think that their user chose to: that is left out. Raises InvalidRequest where
    the budget for thinking, a field of vLLM's own, is set.
    """
    if fields.get(_BUDGET) is not None:
        raise InvalidRequest(f"This model does not think: leave '{_BUDGET}' out.", param=_BUDGET)
    thinking = fields.get("thinking")
    wanted = path in _MESSAGES and isinstance(thinking, dict) and thinking.get("type") != "disabled"
    return {name: value for name, value in fields.items() if not (wanted and name == "thinking")}
