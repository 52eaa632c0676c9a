"""Continuation of a stream: the request for its rest, and the translation of that into the stream's shape. Pure.

A stream is continued only where the whole then reads as if nothing had happened. The prompt's tokens and those that
were sent become the prompt of a completion, so no template and no tokenizer stands between the two halves. With greedy
sampling the text is the same. State that an engine keeps beside the tokens is lost: that of a grammar, of a parser of
tools or reasoning, text held back for a stop string, penalties that count output tokens, log probabilities. So requests
that need any of it are not continued.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from patchbay.router.carry.transcript import Transcript

COMPLETIONS = "/v1/completions"
# Fields that are copied into the request for the rest.
_SAMPLING = frozenset(
    [
        "temperature",
        "top_p",
        "top_k",
        "min_p",
        "seed",
        "repetition_penalty",
        "stop_token_ids",
        "ignore_eos",
        "skip_special_tokens",
        "spaces_between_special_tokens",
        "logit_bias",
        "bad_words",
        "allowed_token_ids",
        "priority",
        "user",
        "cache_salt",
    ]
)
# Fields that only shape the prompt, whose tokens are known, or that are read below.
_DROPPED = frozenset(
    [
        "model",
        "messages",
        "prompt",
        "stream",
        "stream_options",
        "max_tokens",
        "max_completion_tokens",
        "min_tokens",
        "add_generation_prompt",
        "continue_final_message",
        "chat_template",
        "chat_template_kwargs",
        "documents",
        "add_special_tokens",
        "metadata",
        "store",
        "service_tier",
        "parallel_tool_calls",
        "request_id",
        "truncate_prompt_tokens",
        "mm_processor_kwargs",
    ]
)
# Fields that have no effect at these values, and rule a continuation out at any other.
_WITHOUT_EFFECT: Mapping[str, tuple[Any, ...]] = {
    "n": (None, 1),
    "best_of": (None, 1),
    "logprobs": (None, False, 0),
    "top_logprobs": (None, 0),
    "prompt_logprobs": (None,),
    "tools": (None, []),
    "tool_choice": (None, "none", "auto"),
    "stop": (None, "", []),
    "presence_penalty": (None, 0),
    "frequency_penalty": (None, 0),
    "response_format": (None, {"type": "text"}),
    "echo": (None, False),
    "suffix": (None, ""),
}


class _Part(msgspec.Struct, frozen=True):
    type: str = ""


class _Message(msgspec.Struct, frozen=True):
    content: str | list[_Part] | None = None


class _StreamOptions(msgspec.Struct, frozen=True):
    include_usage: bool | None = None


class _Shape(msgspec.Struct, frozen=True, kw_only=True):
    """Fields of a request that are read here. A request with other types gets no answer from an engine anyway."""

    messages: list[_Message] = []
    prompt: str | list[int] = ""
    stream_options: _StreamOptions | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    min_tokens: int | None = None


_SHAPE = msgspec.json.Decoder(_Shape)


@dataclass(frozen=True, slots=True)
class Tail:
    """Plan where the client has all tokens: only these last `events` were lost."""

    events: bytes


@dataclass(frozen=True, slots=True)
class Restart:
    """Plan where nothing had been sent: the request is made again as it was."""


@dataclass(frozen=True, slots=True)
class Rest:
    """Plan where tokens are missing: ask for a completion with `body`, and put its events through `translate`."""

    body: bytes
    translate: Callable[[bytes], bytes]


Continuation = Tail | Restart | Rest


def continuation(request: bytes, transcript: Transcript, *, chat: bool, context: int | None) -> Continuation | None:
    """Plans how the stream of `request` goes on after `transcript`. None where it cannot.

    `request`: the JSON body; `transcript`: of what the client got; `chat`: whether the stream is a chat's, rather than
    a completion's; `context`: the tokens that the model can hold, None if unknown.
    """
    if transcript.empty:
        return Restart()
    try:
        shape, fields = _SHAPE.decode(request), msgspec.json.decode(request)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    last = transcript.last
    usage = shape.stream_options is not None and bool(shape.stream_options.include_usage)
    prompt, tokens = transcript.prompt, transcript.tokens
    choices = last.get("choices")
    if choices == [] and "usage" in last:
        return Tail(b"data: [DONE]\n\n")
    if choices and choices[0].get("finish_reason") is not None and (prompt or not usage):
        return Tail(_ending(transcript, len(prompt), len(tokens), usage=usage))
    if not prompt or not _can_continue(fields, shape) or "error" in last:
        return None
    body = _body(fields, shape, [*prompt, *tokens], len(tokens), context)
    return Rest(msgspec.json.encode(body), _Translation(transcript.first, len(tokens), chat=chat)) if body else None


def _can_continue(fields: Mapping[str, Any], shape: _Shape) -> bool:
    without_effect = all(fields[name] in values for name, values in _WITHOUT_EFFECT.items() if name in fields)
    known = _SAMPLING | _DROPPED | _WITHOUT_EFFECT.keys()
    return without_effect and fields.keys() <= known and _is_text(shape.messages)


def _is_text(messages: Iterable[_Message]) -> bool:
    """Whether all messages are text. The tokens of an image or a sound stand for data that a completion cannot send."""
    parts = [part for message in messages if isinstance(message.content, list) for part in message.content]
    return all(part.type == "text" for part in parts)


def _body(
    fields: Mapping[str, Any], shape: _Shape, tokens: list[int], sent: int, context: int | None
) -> dict[str, Any]:
    """Makes the body of the completion that goes on after `tokens`. Empty where nothing is left to ask for.

    `fields`, `shape`: of the original request; `tokens`: of the prompt and the answer so far; `sent`: how many of these
    were the answer's; `context`: the tokens that the model can hold, None if unknown.
    """
    limit = shape.max_completion_tokens or shape.max_tokens
    if limit is None:
        limit = context - len(tokens) + sent if context is not None else 0
    if limit - sent < 1:
        return {}
    body = {name: value for name, value in fields.items() if name in _SAMPLING}
    body |= {"model": fields["model"], "prompt": tokens, "stream": True, "max_tokens": limit - sent}
    body["add_special_tokens"] = False
    if shape.min_tokens:
        body["min_tokens"] = max(0, shape.min_tokens - sent)
    if fields.get("stream_options"):
        body["stream_options"] = fields["stream_options"]
    return body


def _ending(transcript: Transcript, prompt: int, sent: int, *, usage: bool) -> bytes:
    """Makes a stream's last events. `prompt`, `sent`: tokens of prompt and answer; `usage`: whether to state these."""
    if not usage:
        return b"data: [DONE]\n\n"
    counts = {"prompt_tokens": prompt, "total_tokens": prompt + sent, "completion_tokens": sent}
    event = _common(transcript.first) | {"choices": [], "usage": counts}
    return b"data: " + msgspec.json.encode(event) + b"\n\ndata: [DONE]\n\n"


def _common(first: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the fields that are the same in all events of the stream that `first` began."""
    return {name: first.get(name) for name in ("id", "object", "created", "model")}


class _Translation:
    """Translation of a completion's events into the shape of the stream that it continues.

    `first`: that stream's first event; `sent`: the tokens that count as answered although they were in the prompt;
    `chat`: whether the stream is a chat's.
    """

    def __init__(self, first: Mapping[str, Any], sent: int, *, chat: bool) -> None:
        self._common = _common(first)
        self._sent = sent
        self._chat = chat

    def __call__(self, events: bytes) -> bytes:
        """Translates `events`, which are whole."""
        return b"".join(self._event(lines) for lines in events.split(b"\n\n") if lines.strip())

    def _event(self, lines: bytes) -> bytes:
        data = lines.strip().removeprefix(b"data:").strip()
        if data == b"[DONE]" or not data.startswith(b"{"):
            return lines.strip() + b"\n\n"
        event = msgspec.json.decode(data)
        if "error" in event:
            return lines + b"\n\n"
        event |= self._common
        if event.get("usage"):
            event["usage"] = self._usage(event["usage"])
        if self._chat:
            event["choices"] = [_as_chat(choice) for choice in event.get("choices", ())]
        return b"data: " + msgspec.json.encode(event) + b"\n\n"

    def _usage(self, usage: Mapping[str, Any]) -> dict[str, Any]:
        moved = {
            "prompt_tokens": usage["prompt_tokens"] - self._sent,
            "completion_tokens": (usage.get("completion_tokens") or 0) + self._sent,
        }
        return {**usage, **moved}


def _as_chat(choice: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: choice[name] for name in ("index", "logprobs", "finish_reason", "stop_reason") if name in choice}
    text = choice.get("text")
    return {**kept, "delta": {"content": text} if text else {}}
