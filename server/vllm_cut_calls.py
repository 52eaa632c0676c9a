"""Calls of tools that were cut off, or have no object, as whole answers tell them in OpenAI's and Anthropic's form.

vLLM's parsers take a call that its tokens ended within for a text, as the model wrote it; in a stream for a call.
"""

import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import msgspec
import partial_json_parser
from vllm.entrypoints.generate.base.protocol import FunctionCall, ToolCall

# What stands before and behind a call of a tool in the form of Hermes, which most parsers' models write.
_CALL_BEGINS, _CALL_ENDS = "<tool_call>", "</tool_call>"
_NAME = re.compile(r'"name"\s*:\s*(?P<name>"(?:[^"\\\x00-\x1f]|\\["\\/bfnrt])*")')
_DECODER = json.JSONDecoder()
_ARGUMENTS = re.compile(r'"arguments"\s*:\s*')


@dataclass(frozen=True, slots=True, kw_only=True)
class CutCall:
    """A call of a tool that was cut off. `name`: the tool's; `arguments`: their text, as far as it came."""

    name: str
    arguments: str


def with_tool_objects(convert: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Wraps vLLM's converter of a whole chat's answer into Anthropic's so that each tool's input is an object.

    A model may call a tool with something else, and is cut off in the middle of a call where its tokens end. vLLM then
    answers that the request was wrong, with the model's words in the message, or has the call's own form for a text.
    """

    def converted(answer: Any) -> Any:
        _separate_call(answer.choices[0])
        for call in answer.choices[0].message.tool_calls:
            call.function.arguments = object_text(call.function.arguments)
        return convert(answer)

    return converted


def with_cut_calls(generate: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """Wraps vLLM's maker of a whole chat's answer so that a call that was cut off is a call, with its arguments as far
    as they came, as OpenAI answers, and no text."""

    async def generated(request: Any, *arguments: Any, **named: Any) -> Any:
        answer = await generate(request, *arguments, **named)
        if request.tools:
            for choice in getattr(answer, "choices", ()):
                _separate_call(choice)
        return answer

    return generated


def _separate_call(choice: Any) -> None:
    message = choice.message
    if choice.finish_reason != "length" or message.tool_calls:
        return
    message.content, cut = without_begun_call(message.content)
    if cut is not None:
        message.tool_calls = [ToolCall(function=FunctionCall(name=cut.name, arguments=cut.arguments))]


def without_begun_call(content: str | None) -> tuple[str | None, CutCall | None]:
    """Splits a text that was cut off: what it says before a call of a tool that has begun, and that call; None for the
    call where not even its name came, or there is none."""
    said, mark, call = (content or "").rpartition(_CALL_BEGINS)
    if not mark or _CALL_ENDS in call:
        return _without_begun_mark(content), None
    named = _NAME.search(call)
    if named is None:
        return said or None, None
    arguments = _ARGUMENTS.search(call, named.end())
    text = _first_value(call[arguments.end() :]) if arguments is not None else ""
    return said or None, CutCall(name=msgspec.json.decode(named["name"]), arguments=text)


def _first_value(text: str) -> str:
    """Returns the JSON value that `text` begins with; all of it where that is not whole."""
    try:
        return text[: _DECODER.raw_decode(text)[1]]
    except (ValueError, RecursionError):
        return text


def _without_begun_mark(content: str | None) -> str | None:
    """Returns a text without the beginning of a call's mark at its end. One sign alone may be the text's own."""
    for length in range(len(_CALL_BEGINS) - 1, 0, -1):
        if content and content.endswith(_CALL_BEGINS[:length]) and (length > 1 or content == _CALL_BEGINS[:1]):
            return content[:-length] or None
    return content


def object_text(arguments: str) -> str:
    """Returns the JSON of the object that `arguments`, a model's text, is or begins; an empty one where it is none."""
    try:
        decoded = msgspec.json.decode(arguments)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        decoded = _begun(arguments)
    return msgspec.json.encode(decoded if isinstance(decoded, dict) else {}).decode()


def _begun(arguments: str) -> Any:
    try:
        return partial_json_parser.loads(arguments)
    except (ValueError, RecursionError, AssertionError):
        return None
