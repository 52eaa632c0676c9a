"""Asks once more for a chat's answer that is not the JSON that it should be, with what is wrong with it."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from patchbay.core.offload import Offload
from patchbay.core.schema.compiled import Schema
from patchbay.guards.formats.codec import readable
from patchbay.guards.formats.sse import split, written
from patchbay.guards.judges.judge import JudgeFailed
from patchbay.guards.judges.llm_judge import AskModel
from patchbay.guards.structured import SchemaResult, check, reask

_BESIDE = ("logprobs", "token_ids")


class _Usage(msgspec.Struct, frozen=True):
    prompt_tokens: int = 0
    completion_tokens: int = 0


class _Message(msgspec.Struct, frozen=True):
    content: str


class _Choice(msgspec.Struct, frozen=True):
    message: _Message


class _Answer(msgspec.Struct, frozen=True):
    choices: list[_Choice]
    usage: _Usage = _Usage()


_ANSWER = msgspec.json.Decoder(_Answer)


@dataclass(frozen=True, slots=True)
class SecondAnswer:
    """A second answer, and the tokens that it took."""

    text: str
    prompt_tokens: int
    answer_tokens: int


@dataclass(frozen=True, slots=True)
class SecondAnswerClient:
    """The way to a second answer. `ask`: asks a model; `timeout_s`: for how long; `told`: is told that there was one,
    and of the first one's text."""

    ask: AskModel
    timeout_s: float
    told: Callable[[SecondAnswer, str], None]


class Reask:
    """For one request. `fields`: it; `schema`: of its answer; `offload`: does what takes long."""

    def __init__(self, fields: Mapping[str, Any], schema: Schema, asking: SecondAnswerClient, offload: Offload) -> None:
        self._fields = fields
        self._schema = schema
        self._asking = asking
        self._offload = offload

    async def whole(self, answer: dict[str, Any]) -> None:
        """Puts a second answer into `answer`, one JSON document, where that is needed and is to be had."""
        choices = answer.get("choices")
        if not isinstance(choices, list) or len(choices) != 1 or not isinstance(choices[0], dict):
            return
        message = choices[0].get("message")
        if not isinstance(message, dict):
            return
        text = message.get("content")
        if not isinstance(text, str) or message.get("tool_calls"):
            return
        again = await self._again(text)
        if again is None:
            return
        message["content"] = again.text
        for name in _BESIDE:
            choices[0].pop(name, None)
        with readable():
            _add_usage(answer, again)

    async def events(self, events: bytes) -> bytes:
        """A stream's events, all of them, with a second answer where that is needed and is to be had."""
        every, text = await self._offload.run(lambda: _read(events), len(events))
        again = None if text is None else await self._again(text)
        if again is None:
            return events
        return await self._offload.run(lambda: _rewritten(every, again), len(events))

    async def _again(self, text: str) -> SecondAnswer | None:
        """A second answer, None where the first one will do or there is no other."""
        checked = await self._check(text)
        if checked.value_ok or checked.spent:
            return None
        messages = [*self._fields["messages"], {"role": "assistant", "content": text}]
        messages.append({"role": "user", "content": reask(checked.errors)})
        dropped = ("model", "stream", "stream_options", "logprobs", "top_logprobs")
        fields = {name: value for name, value in self._fields.items() if name not in dropped}
        try:
            async with asyncio.timeout(self._asking.timeout_s):
                body = await self._asking.ask(str(self._fields["model"]), {**fields, "messages": messages}, text)
            answer = _ANSWER.decode(body)
            again = SecondAnswer(
                answer.choices[0].message.content, answer.usage.prompt_tokens, answer.usage.completion_tokens
            )
        except (JudgeFailed, TimeoutError, msgspec.DecodeError, UnicodeDecodeError, IndexError):
            return None
        self._asking.told(again, text)
        return again if (await self._check(again.text)).value_ok else None

    async def _check(self, text: str) -> SchemaResult:
        return await self._offload.run(lambda: check(text, self._schema), len(text), hard=self._schema.heavy)


def _read(events: bytes) -> tuple[list[tuple[bytes, Any]], str | None]:
    """A stream's events, and the text that they say; None where that is a call of a tool."""
    with readable():
        every = list(split(events))
        deltas = [delta for _, data in every for delta in _deltas(data)]
        if any(delta.get("tool_calls") for delta in deltas):
            return every, None
        return every, "".join(delta.get("content") or "" for delta in deltas)


def _deltas(data: Any) -> list[dict[str, Any]]:
    choices = data.get("choices") if isinstance(data, dict) else None
    return [choice.get("delta") or {} for choice in choices or () if isinstance(choice, dict)]


def _rewritten(every: Sequence[tuple[bytes, Any]], again: SecondAnswer) -> bytes:
    """The events with another text: all of it where it began."""
    with readable():
        return _with_text(every, again)


def _with_text(every: Sequence[tuple[bytes, Any]], again: SecondAnswer) -> bytes:
    out: list[bytes] = []
    left: str | None = again.text
    for event, data in every:
        if data is None:
            out.append(event)
            continue
        if data.get("usage"):
            _add_usage(data, again)
        said = False
        for choice in data.get("choices") or ():
            said = said or bool((choice.get("delta") or {}).get("content"))
            left = _put(choice, left)
        over = all(not choice.get("finish_reason") for choice in data.get("choices") or ())
        if not said or not over or any(delta.get("content") for delta in _deltas(data)):
            out.append(written(data))
    return b"".join(out)


def _put(choice: dict[str, Any], text: str | None) -> str | None:
    """Puts `text` in the place of what a chunk says, and gives what is still to be put: nothing, once it was."""
    for name in _BESIDE:
        choice.pop(name, None)
    delta = choice.get("delta") or {}
    if not delta.get("content"):
        return text
    delta["content"] = text or ""
    return None


def _add_usage(answer: dict[str, Any], again: SecondAnswer) -> None:
    usage = answer.get("usage")
    if isinstance(usage, dict):
        usage["prompt_tokens"] = usage.get("prompt_tokens", 0) + again.prompt_tokens
        usage["completion_tokens"] = usage.get("completion_tokens", 0) + again.answer_tokens
        usage["total_tokens"] = usage["prompt_tokens"] + usage["completion_tokens"]
