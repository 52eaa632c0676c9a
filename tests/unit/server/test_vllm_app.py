"""Errors that come late, of which vLLM's own layer makes something else, are told as they are."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from vllm.entrypoints.anthropic.serving import AnthropicServingMessages
from vllm.entrypoints.openai.responses.protocol import ResponsesRequest
from vllm.entrypoints.openai.responses.serving import OpenAIServingResponses
from vllm.exceptions import GenerationError
from vllm.sampling_params import SamplingParams

from patchbay.core.errors import NotFinite
from patchbay.server.vllm_app import explain_error, keep_errors, raise_again

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
