"""A stream that breaks anywhere and goes on says what an unbroken one says."""

import json
from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from patchbay.router.carry.continuation import Rest, Restart, Tail, continuation
from patchbay.router.carry.transcript import Transcript

PROMPT = [11, 12, 13]
WORDS = ["The ", "quick\n\n", "brown ", "data: ", "\u2028fox ", '"jumps"']


def request(*, chat: bool, usage: bool, limit: int | None) -> bytes:
    fields: dict[str, Any] = {"model": "m", "stream": True, "temperature": 0}
    fields |= {"messages": [{"role": "user", "content": "hi"}]} if chat else {"prompt": "hi"}
    fields |= {"stream_options": {"include_usage": True}} if usage else {}
    fields |= {"max_tokens": limit} if limit is not None else {}
    return json.dumps(fields).encode()


def stream(prompt: list[int], *, chat: bool, usage: bool, name: str) -> list[bytes]:
    """The events of an engine that knows one text by heart, and goes on after as many words as `prompt` has more."""
    begun = len(prompt) - len(PROMPT)
    events: list[bytes] = []
    for number, word in list(enumerate(WORDS))[begun:]:
        finish = "stop" if number == len(WORDS) - 1 else None
        said = {"delta": {"content": word}} if chat else {"text": word}
        data = {"id": name, "object": name, "choices": [{"index": 0, **said, "finish_reason": finish}]}
        told = b": prompt %b\n" % ",".join(map(str, prompt)).encode() if number == begun else b""
        events.append(told + b": ids %d\n" % (1000 + number) + b"data: " + json.dumps(data).encode() + b"\n\n")
    if usage:
        used = len(WORDS) - begun
        counts = {"prompt_tokens": len(prompt), "completion_tokens": used, "total_tokens": len(prompt) + used}
        events.append(b"data: " + json.dumps({"id": name, "choices": [], "usage": counts}).encode() + b"\n\n")
    return [*events, b"data: [DONE]\n\n"]


def read(events: bytes) -> tuple[str, list[str], Any, int]:
    """The text, the finish reasons, the usage, and how many ends there are."""
    data = [line[6:] for line in events.decode().split("\n") if line.startswith("data: ")]
    parsed = [json.loads(one) for one in data if one != "[DONE]"]
    choices = [event["choices"][0] for event in parsed if event.get("choices")]
    text = "".join(choice.get("text") or choice.get("delta", {}).get("content") or "" for choice in choices)
    finishes = [choice["finish_reason"] for choice in choices if choice["finish_reason"]]
    usages = [event["usage"] for event in parsed if event.get("usage")]
    assert len({event["id"] for event in parsed}) == 1
    return text, finishes, usages, data.count("[DONE]")


@given(st.booleans(), st.booleans(), st.none() | st.integers(6, 50), st.lists(st.integers(0, 9), max_size=8))
def test_wherever_and_however_often_it_breaks_the_whole_is_the_same(
    chat: bool, usage: bool, limit: int | None, breaks: list[int]
) -> None:
    body, transcript, sent = request(chat=chat, usage=usage, limit=limit), Transcript(), b""
    translate: Callable[[bytes], bytes] = _as_it_is
    prompt, shape = PROMPT, chat
    for number, at in enumerate([*breaks, 99]):
        for event in stream(prompt, chat=shape, usage=usage, name=f"answer {number}")[:at]:
            seen = translate(transcript.strip(event))
            transcript.note(seen)
            sent += seen
        if sent.endswith(b"[DONE]\n\n"):
            break
        plan = continuation(body, transcript, chat=chat, context=2048)
        if isinstance(plan, Tail):
            sent += plan.events
            break
        if isinstance(plan, Rest):
            asked = json.loads(plan.body)
            translate, prompt, shape = plan.translate, asked["prompt"], False
            assert asked["max_tokens"] == (limit or 2048 - len(PROMPT)) - (len(prompt) - len(PROMPT))
        else:
            assert isinstance(plan, Restart)
            assert not sent
    text, finishes, usages, ends = read(sent)
    assert (text, finishes, ends) == ("".join(WORDS), ["stop"], 1)
    assert usages == ([{"prompt_tokens": 3, "completion_tokens": 6, "total_tokens": 9}] if usage else [])


def _as_it_is(events: bytes) -> bytes:
    return events


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
known = ["messages", "prompt", "stream_options", "max_tokens", "n", "stop", "tools", "logprobs", "min_tokens", "x"]


@given(st.dictionaries(st.sampled_from(known), json_values), st.booleans())
def test_a_request_that_makes_no_sense_is_at_worst_not_carried_on(fields: dict[str, Any], chat: bool) -> None:
    transcript = Transcript()
    transcript.note(transcript.strip(stream(PROMPT, chat=chat, usage=False, name="chat")[0]))
    body = json.dumps({"model": "m", "stream": True, **fields}).encode()
    plan = continuation(body, transcript, chat=chat, context=None)
    assert plan is None or isinstance(plan, Rest)
