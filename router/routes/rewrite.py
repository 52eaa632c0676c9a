"""A request's body as its route would have it: defaults, limits, the template, the model's own name. Pure."""

from collections.abc import Mapping
from typing import Any

import msgspec

from adapters.errors import InvalidRequest
from router.body import decode
from router.routes.config import RouteConfig, Sampling
from router.routes.template import render

VARIABLES = "variables"
_TOKENS = ("max_completion_tokens", "max_tokens", "max_output_tokens")
# How each endpoint calls the number of tokens that it may answer with, where a client does not say.
_TOKENS_OF: Mapping[str, str] = {"responses": "max_output_tokens"}
# Endpoints that make no text know nothing of sampling, nor of templates.
_GENERATING = frozenset({"chat_completions", "completions", "responses", "messages"})
_PENALTIES = ("presence_penalty", "frequency_penalty", "seed")


def rewritten(body: bytes, endpoint: str, model: str, route: RouteConfig) -> bytes:
    """`body`, a JSON object, for `route`: its model is `model`, the name that the replica knows.

    Raises InvalidRequest where the template's variables do not fit.
    """
    fields: dict[str, Any] = decode(body)
    fields["model"] = model
    variables = fields.pop(VARIABLES, None) if route.template is not None else None
    if endpoint in _GENERATING:
        _decode_settings(fields, endpoint, route.defaults, route.limits)
        if route.template is not None:
            _put_template(fields, endpoint, render(route.template, variables or {}, _refusal))
    return msgspec.json.encode(fields)


def with_model(body: bytes, model: str) -> bytes:
    """`body`, a JSON object, with another model."""
    return msgspec.json.encode({**decode(body), "model": model})


def capped(body: bytes, endpoint: str, max_tokens: int) -> bytes:
    """`body` with at most so many tokens asked for."""
    fields: dict[str, Any] = decode(body)
    _decode_settings(fields, endpoint, Sampling(max_tokens=max_tokens), Sampling(max_tokens=max_tokens))
    return msgspec.json.encode(fields)


def _decode_settings(fields: dict[str, Any], endpoint: str, defaults: Sampling, limits: Sampling) -> None:
    most = dict(limits)
    for name, value in defaults:
        given = [key for key in _names(name) if fields.get(key) is not None]
        if not given and value is not None and not (endpoint == "messages" and name in _PENALTIES):
            fields[_name_for(name, endpoint)] = value
    for name, limit in most.items():
        if limit is None:
            continue
        for key in _names(name):
            if _is_over(fields.get(key), limit):
                fields[key] = limit
        # What is not said is the engine's default, which may be more.
        if name == "max_tokens" and all(fields.get(key) is None for key in _TOKENS):
            fields[_name_for(name, endpoint)] = limit


def _names(name: str) -> tuple[str, ...]:
    return _TOKENS if name == "max_tokens" else (name,)


def _name_for(name: str, endpoint: str) -> str:
    return _TOKENS_OF.get(endpoint, name) if name == "max_tokens" else name


def _is_over(value: Any, limit: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > limit


def _put_template(fields: dict[str, Any], endpoint: str, made: list[tuple[str, str]]) -> None:
    """Puts the template's text before the client's own, in the way of the endpoint."""
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
