"""What vLLM's own layer makes of errors that come late, and what is told of them instead."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from vllm.entrypoints.anthropic.serving import AnthropicServingMessages
from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionResponse
from vllm.entrypoints.openai.responses.protocol import ResponsesRequest
from vllm.entrypoints.openai.responses.serving import OpenAIServingResponses
from vllm.exceptions import GenerationError
from vllm.sampling_params import SamplingParams

from patchbay.core.errors import NotFinite
from patchbay.server.vllm_app import explain_error, keep_errors, object_text, raise_again, with_tool_objects

FAILED = f"data: {json.dumps({'error': {'message': NotFinite('sql@1').message, 'code': 500}})}\n\n"
CHUNK = "data: " + json.dumps(
    {
        "id": "c",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "sql",
        "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}],
        "usage": {"prompt_tokens": 1, "total_tokens": 1},
    }
)


async def chat(*events: str) -> AsyncIterator[str]:
    for event in events:
        yield event


@pytest.mark.anyio
async def test_a_late_error_of_a_message_is_told_as_it_is_and_ends_the_stream() -> None:
    serving = object.__new__(AnthropicServingMessages)
    convert = keep_errors(serving.message_stream_converter)
    told = [event async for event in convert(chat(f"{CHUNK}\n\n", FAILED, "data: [DONE]\n\n"))]
    assert [event.partition("\n")[0] for event in told[:-1]] == ["event: message_start"]
    assert told[-1] == FAILED


@pytest.mark.anyio
async def test_what_ends_a_response_is_raised_and_explained_and_not_that_no_event_can_hold_it() -> None:
    serving = object.__new__(OpenAIServingResponses)
    serving.use_harmony = False
    serving._process_simple_streaming_events = fails
    serving._convert_generation_error_to_streaming_response = raise_again
    request = ResponsesRequest(model="sql", input="hi", stream=True)
    stream = serving.responses_stream_generator(request, SamplingParams(max_tokens=4), None, None, "sql", None, None)
    begun = [await anext(stream), await anext(stream)]
    assert [event.type for event in begun] == ["response.created", "response.in_progress"]
    with pytest.raises(GenerationError) as raised:
        await anext(stream)
    assert explain_error(raised.value) == (500, NotFinite("sql@1").message)


async def fails(*_: Any) -> AsyncIterator[Any]:
    raise GenerationError(NotFinite("sql@1").message)
    yield


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
        ('<tool_call>\n{"name": "wea', []),
        ("<tool_call>", []),
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
