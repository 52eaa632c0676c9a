"""What a transcript keeps of a stream, and the events of the rest in the shape of the stream that it continues."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchbay.router.carry.continuation import Rest, continuation
from patchbay.router.carry.transcript import Transcript

FIRST = {"id": "one", "object": "chat.completion.chunk", "created": 17, "model": "sql"}
OTHER = {"id": "two", "object": "text_completion", "created": 99, "model": "sql@3-ab"}


def event(data: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(data).encode() + b"\n\n"


def translated(events: bytes, *, chat: bool = True) -> bytes:
    """The events of a rest as the client of a stream, of which it has two tokens, sees them."""
    seen = Transcript()
    seen.note(seen.strip(b": prompt 1,2,3\n: ids 4,5\n" + event(FIRST | {"choices": [{"index": 0}]})))
    body = b'{"model":"m","prompt":"hi","stream":true,"max_tokens":9}'
    plan = continuation(body, seen, chat=chat, context=None)
    assert isinstance(plan, Rest)
    return plan.translate(events)


def shown(data: dict[str, Any], *, chat: bool = True) -> Any:
    told = translated(event(data), chat=chat)
    assert told.startswith(b"data: ")
    assert told.endswith(b"\n\n")
    return json.loads(told[5:])


@pytest.mark.parametrize(
    ("choice", "delta"),
    [
        ({"index": 0, "text": "fox"}, {"index": 0, "delta": {"content": "fox"}}),
        ({"index": 0, "text": ""}, {"index": 0, "delta": {}}),
        ({"index": 0}, {"index": 0, "delta": {}}),
        (
            {"index": 1, "text": "a", "logprobs": None, "finish_reason": "stop", "stop_reason": 2, "token_ids": [1]},
            {"index": 1, "delta": {"content": "a"}, "logprobs": None, "finish_reason": "stop", "stop_reason": 2},
        ),
    ],
)
def test_a_completions_choice_becomes_a_chats_delta(choice: dict[str, Any], delta: dict[str, Any]) -> None:
    assert shown(OTHER | {"choices": [choice]}) == FIRST | {"choices": [delta]}


def test_a_completion_goes_on_as_a_completion_under_the_first_streams_name() -> None:
    choices = [{"index": 0, "text": "a", "finish_reason": None}]
    assert shown(OTHER | {"choices": choices}, chat=False) == FIRST | {"choices": choices}
    assert shown(OTHER, chat=False) == FIRST


def test_a_chats_event_has_choices_even_where_the_rests_has_none() -> None:
    assert shown(OTHER) == FIRST | {"choices": []}
    assert shown(OTHER | {"choices": []}) == FIRST | {"choices": []}


@pytest.mark.parametrize(
    ("usage", "told"),
    [
        (
            {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12},
            {"prompt_tokens": 3, "completion_tokens": 9, "total_tokens": 12},
        ),
        (
            {"prompt_tokens": 5, "total_tokens": 5, "details": 1},
            {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5, "details": 1},
        ),
        ({"prompt_tokens": 5, "completion_tokens": None}, {"prompt_tokens": 3, "completion_tokens": 2}),
        (None, None),
        ({}, {}),
    ],
)
def test_tokens_that_the_client_has_count_as_answered_and_not_as_asked(usage: Any, told: Any) -> None:
    assert shown(OTHER | {"choices": [], "usage": usage}) == FIRST | {"choices": [], "usage": told}


@pytest.mark.parametrize(
    "kept",
    [
        b"data: [DONE]\n\n",
        b": a comment\n\n",
        b"event: ping\n\n",
        b"data: 7\n\n",
        b'data: {"error": {"code": 500}}\n\n',
    ],
)
def test_ends_comments_and_errors_pass_as_they_are(kept: bytes) -> None:
    assert translated(kept) == kept
    assert translated(kept + kept) == kept + kept


def test_blank_lines_between_events_are_no_events() -> None:
    assert translated(b"\n\n\n\n  \n\ndata: [DONE]\n\n\n\n") == b"data: [DONE]\n\n"
    assert translated(b"") == b""


@pytest.mark.parametrize(
    ("events", "rest", "prompt", "tokens"),
    [
        (b"data: {}\n\n", b"data: {}\n\n", [], []),
        (b": ids 4\ndata: {}\n\n", b"data: {}\n\n", [], [4]),
        (b": ids 4,5,6\ndata: {}\n\n", b"data: {}\n\n", [], [4, 5, 6]),
        (b": prompt 1\n: ids 4\ndata: {}\n\n", b"data: {}\n\n", [1], [4]),
        (b": prompt 1,2\ndata: {}\n\n: ids 4\ndata: {}\n\n", b"data: {}\n\ndata: {}\n\n", [1, 2], [4]),
        (b": ids 4\ndata: {}\n\n: ids 5\ndata: {}\n\n", b"data: {}\n\ndata: {}\n\n", [], [4, 5]),
        (b": ids 4\n: ids 5\ndata: {}\n\n", b"data: {}\n\n", [], [4, 5]),
        (b"data: {}\n\n: ids 4\ndata: {}\n\n", b"data: {}\n\ndata: {}\n\n", [], [4]),
        (b": ids four\ndata: {}\n\n", b": ids four\ndata: {}\n\n", [], []),
        (b": idx 4\ndata: {}\n\n", b": idx 4\ndata: {}\n\n", [], []),
        (b": ping\n\n", b": ping\n\n", [], []),
        (b"data: a : ids 4\n\n", b"data: a : ids 4\n\n", [], []),
    ],
)
def test_comments_with_ids_are_taken_out_and_kept_and_all_else_passes(
    events: bytes, rest: bytes, prompt: list[int], tokens: list[int]
) -> None:
    seen = Transcript()
    assert seen.strip(events) == rest
    assert (seen.prompt, seen.tokens) == (prompt, tokens)
    assert (seen.prompt_count, seen.answer_count) == (len(prompt), len(tokens))


@given(st.lists(st.lists(st.integers(0, 200_000), min_size=1, max_size=4), min_size=1, max_size=6), st.data())
def test_however_reads_gather_events_the_ids_are_the_same(batches: list[list[int]], data: st.DataObject) -> None:
    events = [b": ids %b\ndata: {}\n\n" % ",".join(map(str, batch)).encode() for batch in batches]
    seen = Transcript()
    while events:
        count = data.draw(st.integers(1, len(events)))
        assert seen.strip(b"".join(events[:count])) == b"data: {}\n\n" * count
        del events[:count]
    assert seen.tokens == [number for batch in batches for number in batch]
    assert seen.answer_count == len(seen.tokens)


def test_the_first_prompt_is_the_streams_own() -> None:
    seen = Transcript()
    seen.strip(b": prompt 1,2\n: ids 3\n")
    seen.strip(b": prompt 1,2,3\n: ids 4\n")
    assert (seen.prompt, seen.prompt_count, seen.tokens) == ([1, 2], 2, [3, 4])


@pytest.mark.parametrize(
    ("events", "first", "last"),
    [
        (b'data: {"a": 1}\n\ndata: {"a": 2}\n\n', {"a": 1}, {"a": 2}),
        (b'data:{"a":1}\n\n', {"a": 1}, {"a": 1}),
        (b'event: x\ndata: {"a": 1}\n\n', {"a": 1}, {"a": 1}),
        (b'data: {"a": 1}\n\ndata: [DONE]\n\n', {"a": 1}, {}),
        (b"data: [1]\n\n", {}, {}),
        (b"data: {\n\n", {}, {}),
        (b": only a comment\n\n", {}, {}),
    ],
)
def test_the_first_and_the_last_event_are_read_where_they_are_objects(
    events: bytes, first: dict[str, Any], last: dict[str, Any]
) -> None:
    seen = Transcript()
    assert seen.empty
    seen.note(events)
    assert not seen.empty
    assert (seen.first, seen.last) == (first, last)
    seen.note(b'data: {"a": 9}\n\n')
    assert (seen.first, seen.last) == (first, {"a": 9})
