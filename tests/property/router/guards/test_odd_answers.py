"""Answers of any shape under guards: each goes out filtered, is ended, or is refused as one that cannot be read."""

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NoReturn

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patchbay.core.errors import AnswerUnreadable
from patchbay.core.offload import Offload
from patchbay.guards.config import GuardsConfig, RulesGuard
from patchbay.guards.formats.codec import StreamStopped
from patchbay.guards.formats.document import WITH_TEXT
from patchbay.guards.formats.plain_text import PlainText, spoken_in
from patchbay.guards.formats.sse import DONE, split
from patchbay.guards.judges.judge import TextOrigin
from patchbay.guards.judges.judges import Judges
from patchbay.guards.pipeline import Guards, compile_guards
from patchbay.guards.reask import SecondAnswer, _read, _rewritten
from patchbay.guards.session import GuardSession

MAIL = "jane@example.org"
NAMES = ["choices", "index", "delta", "message", "content", "text", "tool_calls", "function", "arguments", "name"]
NAMES += ["type", "logprobs", "token_ids", "usage", "finish_reason", "output", "response", "item", "part", "role"]
NAMES += ["content_block", "output_index", "prompt_tokens", "object", "status", "input", "reason", "x", "y z", MAIL]
KINDS = ["content_block_start", "content_block_delta", "content_block_stop", "message_stop", "message_delta"]
KINDS += ["response.output_text.delta", "response.output_text.done", "response.completed", "response.x.delta"]
LEAVES = st.sampled_from([None, True, 0, 1, -1, 2**70, 1.5, 1e308, "", MAIL, "x", *KINDS])
VALUES: st.SearchStrategy[Any] = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=10,
)
SHAPED = st.fixed_dictionaries({"index": VALUES, "delta": VALUES, "finish_reason": VALUES, "logprobs": VALUES})
DOCUMENTS = st.one_of(
    VALUES,
    st.fixed_dictionaries({"choices": VALUES}),
    st.fixed_dictionaries({"choices": st.lists(VALUES | SHAPED, max_size=3), "usage": VALUES}),
    st.fixed_dictionaries({"type": st.sampled_from(KINDS), "delta": VALUES, "index": VALUES, "response": VALUES}),
    st.fixed_dictionaries({"output": VALUES, "content": VALUES}),
)
many = settings(deadline=None, max_examples=500)


async def nobody(*_: object) -> NoReturn:
    raise AssertionError("nobody is asked")


@pytest.fixture(scope="module")
def guards() -> Guards:
    return compile_guards(
        GuardsConfig(guards={"pii": RulesGuard(kind="rules", sets=("pii",), action="redact")}), [("pii",)], None, None
    )


@pytest.fixture(scope="module")
def session_of(guards: Guards) -> Callable[[str], GuardSession]:
    offload = Offload()

    def made(endpoint: str) -> GuardSession:
        pipeline = guards.pipeline(("pii",), "")
        assert pipeline is not None
        session = GuardSession(
            pipeline=pipeline,
            endpoint=endpoint,
            key=b"key",
            judges=Judges(ask=nobody, again=nobody, wanted=list),
            facts=TextOrigin(request="r"),
            offload=offload,
        )
        session.tells_results = True
        return session

    return made


@many
@given(endpoint=st.sampled_from(WITH_TEXT), events=st.lists(DOCUMENTS, min_size=1, max_size=4))
def test_a_stream_of_any_shape_is_filtered_or_refused(
    session_of: Callable[[str], GuardSession], endpoint: str, events: list[Any]
) -> None:
    codec, out = session_of(endpoint).codec(lambda: (0, 0)), b""
    with suppress(AnswerUnreadable, StreamStopped):
        for event in events:
            out += codec.feed(b"data: " + json.dumps(event).encode() + b"\n\n")
        out += codec.feed(DONE)
        out += codec.finish()
        out += codec.stop(b"")
    assert MAIL.encode() not in out


@many
@given(endpoint=st.sampled_from(WITH_TEXT), answer=DOCUMENTS)
def test_a_document_of_any_shape_is_filtered_or_refused(
    session_of: Callable[[str], GuardSession], endpoint: str, answer: Any
) -> None:
    out = b""
    with suppress(AnswerUnreadable):
        out = asyncio.run(session_of(endpoint).whole(json.dumps(answer).encode()))
    assert MAIL.encode() not in out


@many
@given(endpoint=st.sampled_from(WITH_TEXT), events=st.lists(DOCUMENTS, max_size=3))
def test_what_judges_read_of_any_shape_is_read_or_refused(endpoint: str, events: list[Any]) -> None:
    said = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)
    spoken = PlainText(endpoint)
    with suppress(AnswerUnreadable):
        for _, data in split(said):
            spoken.add(data)
        for event in events:
            if isinstance(event, dict):
                spoken_in(endpoint, event)
        _rewritten(_read(said)[0], SecondAnswer(text="x", prompt_tokens=1, answer_tokens=1))


@pytest.mark.parametrize("endpoint", WITH_TEXT)
@pytest.mark.parametrize(
    "event",
    [b"[5]", b'"x"', b"null", b'{"choices": [', b"[" * 100_000, b'{"a":' * 600 + b"1" + b"}" * 600, b'{"a":"\xff"}'],
    ids=["list", "text", "null", "cut", "deep", "deep object", "no UTF-8"],
)
def test_data_that_is_no_readable_object_is_refused(
    session_of: Callable[[str], GuardSession], endpoint: str, event: bytes
) -> None:
    codec = session_of(endpoint).codec(lambda: (0, 0))
    with pytest.raises(AnswerUnreadable) as refused:
        codec.feed(b"data: " + event + b"\n\n")
    assert refused.value.status == 502


def test_a_stream_has_no_more_parts_than_are_kept(session_of: Callable[[str], GuardSession]) -> None:
    def choice(index: int) -> bytes:
        event = {"choices": [{"index": index, "delta": {"content": "x"}}]}
        return b"data: " + json.dumps(event).encode() + b"\n\n"

    def call(index: int) -> bytes:
        calls = [{"index": index, "function": {"arguments": "x"}}]
        return b"data: " + json.dumps({"choices": [{"index": 0, "delta": {"tool_calls": calls}}]}).encode() + b"\n\n"

    for event, fine, most in ((choice, 16, 17), (call, 1024, 1025)):
        codec = session_of("chat_completions").codec(lambda: (0, 0))
        for index in range(fine):
            codec.feed(event(index))
        with pytest.raises(AnswerUnreadable):
            codec.feed(event(most))


@pytest.mark.parametrize("name", ["logprobs", "prompt_logprobs", "token_ids"])
def test_what_repeats_a_text_says_what_the_text_does_not(session_of: Callable[[str], GuardSession], name: str) -> None:
    fine = [{"token": "Hello", "logprob": -0.5, "top_logprobs": [{"token": "Hi", "logprob": -1.5}]}]
    for told, goes_out in ((fine, True), ({"content": [*fine, {"token": MAIL}]}, False), ([{MAIL: 1}], False)):
        choice = {"index": 0, "text": "Hello", "finish_reason": "stop", name: told}
        body = json.dumps({"choices": [choice]}).encode()
        whole = json.loads(asyncio.run(session_of("completions").whole(body)))
        stream = session_of("completions").codec(lambda: (0, 0)).feed(b"data: " + body + b"\n\n")
        streamed = json.loads(stream.removeprefix(b"data: "))
        for answer in (whole, streamed):
            assert answer["choices"][0].get(name) == (told if goes_out else None)


def test_an_event_without_choices_is_filtered(session_of: Callable[[str], GuardSession]) -> None:
    out = (
        session_of("chat_completions").codec(lambda: (0, 0)).feed(b'data: {"choices": [], "x": "jane@example.org"}\n\n')
    )
    assert MAIL.encode() not in out


def test_as_many_choices_as_were_asked_for_are_let_through(session_of: Callable[[str], GuardSession]) -> None:
    session = session_of("completions")
    asyncio.run(session.checked(b'{"model": "m", "prompt": ["a", "b"], "n": 20}'))
    codec = session.codec(lambda: (0, 0))
    for index in range(40):
        codec.feed(b'data: {"choices": [{"index": %d, "text": "x"}]}\n\n' % index)
    with pytest.raises(AnswerUnreadable):
        codec.feed(b'data: {"choices": [{"index": 40, "text": "x"}]}\n\n')
