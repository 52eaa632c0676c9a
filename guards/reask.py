"""Reask: a second request for a chat's answer that does not fit its schema, with the errors of the first."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec

from patchbay.core.json_body import UNREADABLE
from patchbay.core.offload import Offload
from patchbay.core.schema.compiled import Schema
from patchbay.guards.formats.shut import shut
from patchbay.guards.formats.sse import split, written
from patchbay.guards.judges.judge import JudgeFailed
from patchbay.guards.judges.llm_judge import AskModel
from patchbay.guards.structured import SchemaResult, check, reask

# Fields of a choice that describe the first answer's text, and would be wrong beside the second's.
_TEXT_DETAILS = ("logprobs", "token_ids")


class _Usage(msgspec.Struct, frozen=True, kw_only=True):
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


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondAnswer:
    """A second answer, with the tokens that it took."""

    text: str
    prompt_tokens: int
    answer_tokens: int


@dataclass(frozen=True, slots=True)
class SecondAnswerClient:
    """The client that asks for second answers.

    `ask`: asks a model; `timeout_s`: the time limit, in seconds; `on_answer`: is called with the second answer and the
    first one's text, whether or not the second fits.
    """

    ask: AskModel
    timeout_s: float
    on_answer: Callable[[SecondAnswer, str], None]


class Reask:
    """Replaces the answer to one request by a second one, where the first does not fit its schema.

    `fields`: the request; `schema`: the schema of its answer; `offload`: runs long work in threads.
    """

    def __init__(self, fields: Mapping[str, Any], schema: Schema, client: SecondAnswerClient, offload: Offload) -> None:
        self._fields = fields
        self._schema = schema
        self._client = client
        self._offload = offload

    async def whole(self, answer: dict[str, Any]) -> None:
        """Puts a second answer into `answer`, one JSON document, where it is needed and there is one."""
        choices = answer.get("choices")
        if not isinstance(choices, list) or len(choices) != 1 or not isinstance(choices[0], dict):
            return
        message = choices[0].get("message")
        if not isinstance(message, dict):
            return
        text = message.get("content")
        if not isinstance(text, str) or message.get("tool_calls"):
            return
        second = await self._second_answer(text)
        if second is None:
            return
        message["content"] = second.text
        for name in _TEXT_DETAILS:
            choices[0].pop(name, None)
        with shut():
            _add_usage(answer, second)

    async def events(self, events: bytes) -> bytes:
        """Returns all events of a stream, with a second answer in them where it is needed and there is one."""
        parsed, text = await self._offload.run(lambda: _read(events), len(events))
        second = None if text is None else await self._second_answer(text)
        if second is None:
            return events
        return await self._offload.run(lambda: _rewritten(parsed, second), len(events))

    async def _second_answer(self, text: str) -> SecondAnswer | None:
        """Returns a second answer that fits; None where the first one, `text`, does, or there is no other."""
        result = await self._check(text)
        # What was too much work to check cannot be said to be wrong.
        if result.value_ok or result.spent:
            return None
        messages = [*self._fields["messages"], {"role": "assistant", "content": text}]
        messages.append({"role": "user", "content": reask(result.errors)})
        dropped = ("model", "stream", "stream_options", "logprobs", "top_logprobs")
        fields = {name: value for name, value in self._fields.items() if name not in dropped}
        try:
            async with asyncio.timeout(self._client.timeout_s):
                body = await self._client.ask(str(self._fields["model"]), {**fields, "messages": messages}, text)
            answer = await self._offload.run_json(partial(_ANSWER.decode, body), len(body))
            second = SecondAnswer(
                text=answer.choices[0].message.content,
                prompt_tokens=answer.usage.prompt_tokens,
                answer_tokens=answer.usage.completion_tokens,
            )
        except (JudgeFailed, TimeoutError, *UNREADABLE, IndexError):
            return None
        self._client.on_answer(second, text)
        return second if (await self._check(second.text)).value_ok else None

    async def _check(self, text: str) -> SchemaResult:
        return await self._offload.run(lambda: check(text, self._schema), len(text), hard=self._schema.heavy)


def _read(events: bytes) -> tuple[list[tuple[bytes, Any]], str | None]:
    """Returns a stream's events with their data, and the text in them; None for the text where they call a tool.

    Raises AnswerUnreadable where they cannot be read.
    """
    with shut():
        parsed = list(split(events))
        deltas = [delta for _, data in parsed for delta in _deltas(data)]
        if any(delta.get("tool_calls") for delta in deltas):
            return parsed, None
        return parsed, "".join(delta.get("content") or "" for delta in deltas)


def _deltas(data: Any) -> list[dict[str, Any]]:
    choices = data.get("choices") if isinstance(data, dict) else None
    return [choice.get("delta") or {} for choice in choices or () if isinstance(choice, dict)]


def _rewritten(parsed: Sequence[tuple[bytes, Any]], second: SecondAnswer) -> bytes:
    """Returns the events with the second answer's text, all of it in the first event that had text.

    Raises AnswerUnreadable where they are not in their format.
    """
    with shut():
        return _replace_text(parsed, second)


def _replace_text(parsed: Sequence[tuple[bytes, Any]], second: SecondAnswer) -> bytes:
    out: list[bytes] = []
    pending: str | None = second.text
    for event, data in parsed:
        if data is None:
            out.append(event)
            continue
        if data.get("usage"):
            _add_usage(data, second)
        had_text = False
        for choice in data.get("choices") or ():
            had_text = had_text or bool((choice.get("delta") or {}).get("content"))
            pending = _put(choice, pending)
        unfinished = all(not choice.get("finish_reason") for choice in data.get("choices") or ())
        # An event that carried nothing but text is dropped once its text is empty.
        if not had_text or not unfinished or any(delta.get("content") for delta in _deltas(data)):
            out.append(written(data))
    return b"".join(out)


def _put(choice: dict[str, Any], text: str | None) -> str | None:
    """Puts `text` in the place of a chunk's text. Returns what is still to be put: None, once it was."""
    for name in _TEXT_DETAILS:
        choice.pop(name, None)
    delta = choice.get("delta") or {}
    if not delta.get("content"):
        return text
    delta["content"] = text or ""
    return None


def _add_usage(answer: dict[str, Any], second: SecondAnswer) -> None:
    usage = answer.get("usage")
    if isinstance(usage, dict):
        usage["prompt_tokens"] = usage.get("prompt_tokens", 0) + second.prompt_tokens
        usage["completion_tokens"] = usage.get("completion_tokens", 0) + second.answer_tokens
        usage["total_tokens"] = usage["prompt_tokens"] + usage["completion_tokens"]
