"""anthropic's SDK for Python on the demo."""

from typing import Any

import anthropic
from anthropic import Anthropic
from checks import (
    KEY,
    KEYED,
    LABEL,
    NOWHERE,
    QUESTION,
    SHIPPED,
    SQL,
    URL,
    WRONG_KEY,
    check,
    holds,
    refused,
    run,
    same,
    schema,
    user,
)

client = Anthropic(base_url=URL, api_key=KEY)
# The SDK has no parameter for it any more, and takes the rest of a body as it is.
GREEDY: Any = {"extra_body": {"temperature": 0}, "max_tokens": 128}
ASKED: Any = {"model": "sql", "messages": user(QUESTION), **GREEDY}
CALLED: Any = {
    "model": "style",
    "messages": user("My invoice 4411 is wrong"),
    "tools": [
        {"name": "file_ticket", "description": "Files a ticket", "input_schema": schema(urgent={"type": "boolean"})}
    ],
    "tool_choice": {"type": "tool", "name": "file_ticket"},
    **GREEDY,
}


def _call(message: Any) -> str:
    used = next(block for block in message.content if block.type == "tool_use")
    same(message.stop_reason, "tool_use")
    holds(isinstance(used.input["urgent"], bool), used.input)
    return f"{used.name}({used.input})"


@check("models")
def models() -> str:
    ids = {model.id for model in client.models.list()}
    return holds({"sql", "json"} <= ids, f"{len(ids)} models, sql and json among them")


@check("messages")
def messages() -> str:
    message = client.messages.create(**ASKED)
    same(message.stop_reason, "end_turn")
    return same(message.content[0].text, SQL)


@check("messages, streamed")
def messages_streamed() -> str:
    with client.messages.stream(model="label", messages=user(SHIPPED), **GREEDY) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    same(final.content[0].text, text)
    return same(text, LABEL)


@check("a system prompt in blocks")
def system_prompt() -> str:
    blocks = [{"type": "text", "text": "You work at a desk.", "cache_control": {"type": "ephemeral"}}]
    content = [{"type": "text", "text": QUESTION}]
    message = client.messages.create(**ASKED | {"system": blocks, "messages": [{"role": "user", "content": content}]})
    return holds(message.content[0].text, message.content[0].text)


@check("tools")
def tools() -> str:
    return _call(client.messages.create(**CALLED))


@check("tools, streamed")
def tools_streamed() -> str:
    with client.messages.stream(**CALLED) as stream:
        return _call(stream.get_final_message())


@check("a tool's result")
def tool_result() -> str:
    said = client.messages.create(**CALLED)
    used = next(block for block in said.content if block.type == "tool_use")
    result = {"type": "tool_result", "tool_use_id": used.id, "content": [{"type": "text", "text": QUESTION}]}
    turns = [*CALLED["messages"], {"role": "assistant", "content": said.content}, {"role": "user", "content": [result]}]
    message = client.messages.create(**ASKED | {"messages": turns, "tools": CALLED["tools"]})
    return holds(message.content[0].text, message.content[0].text)


@check("count_tokens")
def count_tokens() -> str:
    counted = client.messages.count_tokens(model="sql", messages=user(QUESTION)).input_tokens
    return same(counted, client.messages.create(**ASKED).usage.input_tokens) + " tokens"


@check("the request's id")
def request_id() -> str:
    message = client.messages.create(**ASKED)
    return holds(message._request_id, message._request_id)  # noqa: SLF001 - so the SDK documents it


@check("an unknown model")
def unknown_model() -> str:
    return refused(anthropic.NotFoundError, lambda: client.messages.create(**ASKED | {"model": NOWHERE}), NOWHERE)


if KEYED:

    @check("a wrong key")
    def wrong_key() -> str:
        stranger = Anthropic(base_url=URL, api_key=WRONG_KEY)
        return refused(anthropic.AuthenticationError, lambda: stranger.messages.create(**ASKED))


run("anthropic")
