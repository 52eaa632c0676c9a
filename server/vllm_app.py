"""The parts of vLLM's HTTP application that a replica offers, and no others.

vLLM's whole application also has routes that load adapters from any path, profile, and invoke without a key. Here only
the chosen routers are attached, without its middleware, which would wrap every chunk.
"""

import traceback
from argparse import Namespace
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from types import SimpleNamespace
from typing import Any, NoReturn

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from vllm.entrypoints.anthropic.api_router import attach_router as attach_messages
from vllm.entrypoints.launchers.api_server.app_state import init_app_state
from vllm.entrypoints.openai.chat_completion.api_router import attach_router as attach_chat
from vllm.entrypoints.openai.completion.api_router import attach_router as attach_completions
from vllm.entrypoints.openai.responses.api_router import attach_router as attach_responses
from vllm.entrypoints.pooling.embed.api_router import router as embeddings
from vllm.entrypoints.pooling.scoring.api_router import router as scores
from vllm.entrypoints.serve.exception_handling.error_response import create_error_response
from vllm.entrypoints.serve.exception_handling.handlers.exception import exception_handler
from vllm.entrypoints.serve.exception_handling.register import init_exception_handler
from vllm.entrypoints.serve.tokenize.api_router import attach_router as attach_tokenize
from vllm.exceptions import GenerationError
from vllm.v1.engine.async_llm import AsyncLLM

from patchbay.server.vllm_cut_calls import with_cut_calls, with_tool_objects

Converter = Callable[[AsyncIterator[str]], AsyncGenerator[str, None]]
_ERROR_EVENT = 'data: {"error":'
# vLLM's validators reach into fields before their types are checked, and these errors of theirs are answered with 500.
# Errors that vLLM itself takes for a client's fault are not here.
_VALIDATOR_CRASHES: tuple[type[Exception], ...] = (AttributeError, LookupError, AssertionError, RecursionError)


async def _answer_validator_crash(request: Request, error: Exception) -> JSONResponse:
    """Answers with 400 where the error came while the request's body was read, and as vLLM does for all else."""
    names = (frame.f_code.co_name for frame, _ in traceback.walk_tb(error.__traceback__))
    if "run_endpoint_function" in names:
        answer: JSONResponse = await exception_handler(request, error)
        return answer
    refusal = create_error_response(f"A field of the request has a type that it cannot have: {error}")
    return JSONResponse(refusal.model_dump(), status_code=refusal.error.code)


def explain_error(error: BaseException) -> tuple[int, str]:
    """Returns the status and the message that vLLM would answer this error with."""
    answer = create_error_response(error).error
    return int(answer.code), str(answer.message)


async def build_vllm_app(engine: AsyncLLM, arguments: Namespace, tasks: tuple[str, ...]) -> FastAPI:
    """Builds vLLM's OpenAI endpoints over `engine`.

    `arguments`: those of vLLM's own server; `tasks`: what the base model can do, in vLLM's words, which decides on the
    endpoints.
    """
    app = FastAPI(openapi_url=None)
    app.state.args = arguments
    # vLLM sets `should_exit` when the engine is dead. Our process notices that by itself, but vLLM needs the object.
    app.state.server = SimpleNamespace(should_exit=False)
    if "generate" in tasks:
        for attach in (attach_chat, attach_completions, attach_responses, attach_messages):
            attach(app)
    if "embed" in tasks:
        app.include_router(embeddings)
    if "score" in tasks:
        app.include_router(scores)
    attach_tokenize(app)
    init_exception_handler(app)
    for kind in _VALIDATOR_CRASHES:
        app.exception_handler(kind)(_answer_validator_crash)
    # `score` is our word for what vLLM does with other tasks' results.
    await init_app_state(engine, app.state, arguments, tuple(task for task in tasks if task != "score"))
    _pass_late_errors_on(app)
    _tell_cut_calls(app)
    _echo_empty_prompts(app)
    return app


def _pass_late_errors_on(app: FastAPI) -> None:
    """Lets errors in the middle of a response or a message reach `late_errors` and `engine_errors` unchanged.

    vLLM tries to make events of them by models that they do not fit, and reports that failure to clients instead.
    """
    if (responses := getattr(app.state, "openai_serving_responses", None)) is not None:
        responses._convert_generation_error_to_streaming_response = raise_again  # noqa: SLF001 - it has no other seam
    if (messages := getattr(app.state, "anthropic_serving_messages", None)) is not None:
        messages.message_stream_converter = keep_errors(messages.message_stream_converter)


def _tell_cut_calls(app: FastAPI) -> None:
    """Has whole answers tell calls of tools that were cut off as calls."""
    if (chat := getattr(app.state, "openai_serving_chat", None)) is not None:
        chat.chat_completion_full_generator = with_cut_calls(chat.chat_completion_full_generator)
    if (messages := getattr(app.state, "anthropic_serving_messages", None)) is not None:
        messages.messages_full_converter = with_tool_objects(messages.messages_full_converter)


def _echo_empty_prompts(app: FastAPI) -> None:
    """Has an empty prompt echoed as what it is. vLLM drops a text that is empty, and one that token ids come to, on its
    way to the engine, and asserts that there is one where it is to be said again."""
    if (completions := getattr(app.state, "openai_serving_completion", None)) is not None:
        completions._extract_prompt_text = text_or_empty(completions._extract_prompt_text)  # noqa: SLF001 - as above


def text_or_empty(extract: Callable[[Any], str | None]) -> Callable[[Any], str]:
    """Wraps `extract`, which gives a prompt's text, so that it gives an empty text where there is none."""
    return lambda prompt: extract(prompt) or ""


def raise_again(error: GenerationError) -> NoReturn:
    """Raises `error` in place of an event that vLLM cannot make: `late_errors` ends the stream with it."""
    raise error


def keep_errors(convert: Converter) -> Converter:
    """Wraps vLLM's converter of a chat's events into Anthropic's so that an error ends the stream unchanged.

    `engine_errors` gives the error its form.
    """

    async def converted(events: AsyncIterator[str]) -> AsyncGenerator[str, None]:
        failed: list[str] = []

        async def until_failed() -> AsyncGenerator[str, None]:
            async for event in events:
                if event.startswith(_ERROR_EVENT):
                    failed.append(event)
                    return
                yield event

        async for event in convert(until_failed()):
            yield event
        for event in failed:
            yield event

    return converted
