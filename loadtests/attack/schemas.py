"""Hostile schemas that a client gives for a route whose guard holds answers against them, in each format with any."""

from collections.abc import Iterator
from typing import Any

from loadtests.attack.hostile import SCHEMAS
from loadtests.attack.tries import Try, request

_ASK = [{"role": "user", "content": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}]


def schemas(model: str) -> Iterator[Try]:
    """Each schema in each format, streamed and not."""
    for schema in SCHEMAS:
        for stream in (False, True):
            chat = {"model": model, "messages": _ASK, "max_tokens": 24, "stream": stream}
            yield from _asked(chat, schema)


def _asked(chat: dict[str, Any], schema: Any) -> Iterator[Try]:
    form = {"type": "json_schema", "json_schema": {"name": "s", "schema": schema}}
    yield request("schemas", "/v1/chat/completions", chat, {"response_format": form})
    tool = {"type": "function", "function": {"name": "f", "parameters": schema}}
    yield request("schemas", "/v1/chat/completions", chat, {"tools": [tool], "tool_choice": "required"})
    yield request(
        "schemas", "/v1/messages", chat, {"output_config": {"format": {"type": "json_schema", "schema": schema}}}
    )
    response = {"model": chat["model"], "input": "aaaa", "max_output_tokens": 24, "stream": chat["stream"]}
    text = {"format": {"type": "json_schema", "name": "s", "schema": schema}}
    yield request("schemas", "/v1/responses", response, {"text": text})
