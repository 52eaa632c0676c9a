"""What a fake engine writes of an answer: the events of a stream, and a safety adapter's verdict."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

# The tokens of any prompt, and the id of an answer's first one.
PROMPT_IDS = (11, 12, 13)
FIRST_ID = 1000


def events(asked: Mapping[str, Any], words: Sequence[str], *, chat: bool, ids: bool, usage: bool) -> list[bytes]:
    """The stream that answers the body `asked`: a chunk a word, each with its token's id where `ids`. A prompt of ids
    goes on after its words."""
    model, prompt = asked["model"], asked.get("prompt")
    prompt_ids = prompt if isinstance(prompt, list) else PROMPT_IDS
    begun = len(prompt_ids) - len(PROMPT_IDS)
    chunks = [event({"content": word}, model, chat=chat) for word in words]
    if ids:
        chunks = [b": ids %d\n" % (FIRST_ID + number) + chunk for number, chunk in enumerate(chunks)]
        chunks[begun : begun + 1] = [_told_prompt(prompt_ids) + chunk for chunk in chunks[begun : begun + 1]]
    ending = [event({}, model, finish="stop", chat=chat)]
    if usage:
        ending.append(usage_event(model, len(prompt_ids), len(chunks) - begun))
    return [*chunks[begun:], *ending, b"data: [DONE]\n\n"]


def _told_prompt(ids: Sequence[int]) -> bytes:
    return b": prompt %b\n" % ",".join(map(str, ids)).encode()


def usage_event(model: str, prompt: int, completion: int) -> bytes:
    """The event that tells what a stream used."""
    counts = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    head = {"id": "chatcmpl-fake", "object": "chat.completion.chunk", "created": 7, "model": model}
    return b"data: " + json.dumps({**head, "choices": [], "usage": counts}).encode() + b"\n\n"


def event(delta: dict[str, str], model: str, finish: str | None = None, *, chat: bool = True) -> bytes:
    """One event of a streamed completion, of a chat or not."""
    said: dict[str, Any] = {"delta": delta} if chat else {"text": delta.get("content", "")}
    chunk = {
        "id": "chatcmpl-fake",
        "object": "chat.completion.chunk" if chat else "text_completion",
        "created": 7,
        "model": model,
        "choices": [{"index": 0, **said, "finish_reason": finish}],
    }
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


def verdict(unsafe: bool) -> dict[str, Any]:
    """A safety adapter's first token, with its log probabilities."""
    top = [{"token": "un", "logprob": -0.01}, {"token": "safe", "logprob": -5.0}]
    if not unsafe:
        top = [{"token": "un", "logprob": -5.0}, {"token": "safe", "logprob": -0.01}]
    return {"content": [{**top[0], "top_logprobs": top}]}
