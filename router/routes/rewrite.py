"""The body of a request as its route wants it: defaults, limits, the template, the model's own name. Pure."""

from collections.abc import Mapping
from typing import Any

from patchbay.core.errors import InvalidRequest
from patchbay.core.json_body import decoded, encoded
from patchbay.router.routes.config import RouteConfig, Sampling
from patchbay.router.routes.sizes import FIELDS, makes_text, size_of, with_tokens
from patchbay.router.routes.template import render

VARIABLES = "variables"
_PENALTIES = ("presence_penalty", "frequency_penalty", "seed")
# vLLM's own defaults. A base's generation_config.json may have others, which are seldom larger.
_UNSAID: Mapping[str, float] = {"temperature": 1, "top_p": 1, "presence_penalty": 0, "frequency_penalty": 0}


def rewritten(body: bytes, endpoint: str, model: str, route: RouteConfig) -> bytes:
    """Returns `body`, a JSON object, rewritten for `route`.

    `model`: the name that the replica knows. Raises InvalidRequest where the template's variables do not fit.
    """
    fields: dict[str, Any] = decoded(body)
    fields["model"] = model
    variables = fields.pop(VARIABLES, None) if route.template is not None else None
    # Endpoints that make no text know nothing of sampling, nor of templates.
    if makes_text(endpoint):
        fields = _sampled(_sized(fields, endpoint, route.defaults, route.limits), endpoint, route)
        if route.template is not None:
            _put_template(fields, endpoint, render(route.template, variables or {}, _refusal))
    return encoded(fields)


def capped(fields: dict[str, Any], endpoint: str, most: int) -> dict[str, Any] | None:
    """Returns `fields` with at most `most` tokens for each answer, None where they ask for no more. Raises
    InvalidRequest."""
    asked = size_of(fields, endpoint).tokens
    return with_tokens(fields, endpoint, most) if asked is None or asked > most else None


def _sized(fields: dict[str, Any], endpoint: str, defaults: Sampling, limits: Sampling) -> dict[str, Any]:
    """Returns `fields` with the route's limits of an answer's tokens."""
    is_given = any(fields.get(name) is not None for name in FIELDS[endpoint].tokens)
    if not is_given and defaults.max_tokens is not None:
        fields = with_tokens(fields, endpoint, defaults.max_tokens)
    if limits.max_tokens is None:
        return fields
    return capped(fields, endpoint, limits.max_tokens) or fields


def _sampled(fields: dict[str, Any], endpoint: str, route: RouteConfig) -> dict[str, Any]:
    """Returns `fields` with the route's sampling.

    Raises InvalidRequest for a value under a limit that is not a number: vLLM takes `"1.9"` for one.
    """
    for name, value in route.defaults:
        foreign = endpoint == "messages" and name in _PENALTIES
        if name != "max_tokens" and value is not None and fields.get(name) is None and not foreign:
            fields[name] = value
    for name, limit in route.limits:
        if name != "max_tokens" and limit is not None and _is_over(fields.get(name), name, limit):
            fields[name] = limit
    return fields


def _is_over(value: Any, name: str, limit: float) -> bool:
    if value is None:
        return name == "top_k" or _UNSAID.get(name, limit) > limit
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise InvalidRequest(f"Invalid type for '{name}': expected a number.", param=name)
    # 0 and -1 candidates for a token mean all of them.
    return value > limit or (name == "top_k" and value <= 0)


def _put_template(fields: dict[str, Any], endpoint: str, made: list[tuple[str, str]]) -> None:
    """Puts the template's text before the client's own, in the endpoint's way."""
    if endpoint == "chat_completions":
        fields["messages"] = [{"role": role, "content": text} for role, text in made] + _list(fields.get("messages"))
        return
    text = "\n".join(content for _, content in made)
    if endpoint == "responses":
        fields["instructions"] = _joined(text, fields.get("instructions"))
    elif endpoint == "messages":
        fields["system"] = _joined(text, fields.get("system"))
    elif isinstance(prompt := fields.get("prompt"), str):
        fields["prompt"] = _joined(text, prompt)
    else:
        raise InvalidRequest("This route has a template, so the prompt must be one string.", param="prompt")


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _joined(text: str, more: Any) -> Any:
    if isinstance(more, list):
        return [{"type": "text", "text": text}, *more]
    return f"{text}\n{more}" if isinstance(more, str) and more else text


def _refusal(message: str) -> InvalidRequest:
    return InvalidRequest(f"{message}.", param=VARIABLES)
