"""Calls of tools that were cut off, or are no objects, in whole answers."""

import json
from types import SimpleNamespace
from typing import Any

import pytest
from vllm.entrypoints.anthropic.serving import AnthropicServingMessages
from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionResponse

from patchbay.server.vllm_cut_calls import object_text, with_cut_calls, with_tool_objects


@pytest.mark.parametrize(
    ("arguments", "read"),
    [
        ('{"city": "Berlin"}', {"city": "Berlin"}),
        ('{"city": "Ber', {"city": "Ber"}),
        ('{"city": {"name": [1, 2', {"city": {"name": [1, 2]}}),
        ('"Berlin"', {}),
        ("[1]", {}),
        ("", {}),
        ("Berlin, of course", {}),
        ('{"a": NaN', {"a": None}),
        ("{" * 5000, {}),
        ("[" * 100_000, {}),
    ],
)
def test_a_tool_is_called_with_an_object_whatever_the_model_wrote(arguments: str, read: dict[str, object]) -> None:
    assert json.loads(object_text(arguments)) == read


@pytest.mark.parametrize(
    ("content", "blocks"),
    [
        ('<tool_call>\n{"name": "weather", "arguments": {"city": "Ber', [("tool_use", {"city": "Ber"})]),
        ('So: <tool_call>\n{"name": "weather", "arguments": {', [("text", None), ("tool_use", {})]),
        ('<tool_call>\n{"name": "weather"', [("tool_use", {})]),
        ('<tool_call>\n{"name": "wea', []),
        ("<tool_call>", []),
        ("<tool_ca", []),
        ("<", []),
        ("So: <to", [("text", None)]),
        ("a <", [("text", None)]),
        ("It rains in Ber", [("text", None)]),
    ],
)
def test_a_call_that_is_cut_off_is_no_text_of_a_message(content: str, blocks: list[tuple[str, object]]) -> None:
    choice = {"index": 0, "finish_reason": "length", "message": {"role": "assistant", "content": content}}
    answer = ChatCompletionResponse.model_validate(
        {"model": "sql", "choices": [choice], "usage": {"prompt_tokens": 1, "total_tokens": 2}}
    )
    serving = object.__new__(AnthropicServingMessages)
    message = with_tool_objects(serving.messages_full_converter)(answer)
    assert [(block.type, block.input) for block in message.content if block.text != ""] == blocks
    assert message.stop_reason == "max_tokens"
    assert not any("tool_call" in (block.text or "") for block in message.content)


def test_a_call_that_is_no_object_is_not_the_clients_mistake_in_a_message() -> None:
    call = {"id": "t", "type": "function", "function": {"name": "weather", "arguments": '"Berlin"'}}
    choice = {"index": 0, "finish_reason": "tool_calls", "message": {"role": "assistant", "tool_calls": [call]}}
    answer = ChatCompletionResponse.model_validate(
        {"model": "sql", "choices": [choice], "usage": {"prompt_tokens": 1, "total_tokens": 2}}
    )
    serving = object.__new__(AnthropicServingMessages)
    message = with_tool_objects(serving.messages_full_converter)(answer)
    assert [(block.type, block.input) for block in message.content] == [("tool_use", {})]


def chat_answer(content: str, finish_reason: str = "length") -> ChatCompletionResponse:
    choice = {"index": 0, "finish_reason": finish_reason, "message": {"role": "assistant", "content": content}}
    usage = {"prompt_tokens": 1, "total_tokens": 2}
    return ChatCompletionResponse.model_validate({"model": "sql", "choices": [choice], "usage": usage})


async def said_by_chat(content: str, *, tools: object = ("a tool",), finish_reason: str = "length") -> Any:
    async def generate(request: Any) -> ChatCompletionResponse:
        return chat_answer(content, finish_reason)

    answer = await with_cut_calls(generate)(SimpleNamespace(tools=tools))
    return answer.choices[0].message


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("content", "said", "arguments"),
    [
        ('<tool_call>\n{"name": "weather", "arguments": {"city": "Ber', None, ['{"city": "Ber']),
        ('So: <tool_call>\n{"name": "weather", "arguments": {', "So: ", ["{"]),
        ('<tool_call>\n{"name" : "weather", "argum', None, [""]),
        ('<tool_call>\n{"name": "weather", "arguments": {"city": "Bern"}}', None, ['{"city": "Bern"}']),
        ('<tool_call>\n{"name": "wea', None, []),
        ("<tool_ca", None, []),
        ("It rains in Ber", "It rains in Ber", []),
    ],
)
async def test_a_call_that_is_cut_off_is_a_call_of_a_chat(content: str, said: str | None, arguments: list[str]) -> None:
    message = await said_by_chat(content)
    assert message.content == said
    assert [(call.function.name, call.function.arguments) for call in message.tool_calls] == [
        ("weather", one) for one in arguments
    ]


@pytest.mark.anyio
async def test_what_only_looks_like_a_call_is_a_text() -> None:
    assert (await said_by_chat("<tool_ca", tools=None)).content == "<tool_ca"
    assert (await said_by_chat("write <tool_ca", finish_reason="stop")).content == "write <tool_ca"
    whole = '<tool_call>{"name": "x"}</tool_call> and'
    assert (await said_by_chat(whole)).content == whole
