"""Every wire format, streamed and whole: what is in a match is in no field of what a client gets."""

import json
from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patchbay.guards.formats.codec import Codec, StreamStopped
from patchbay.guards.formats.completions import ChoicesCodec, RequestedAnswer
from patchbay.guards.formats.document import WITH_TEXT, filtered_answer
from patchbay.guards.formats.messages import MessagesCodec
from patchbay.guards.formats.plain_text import spoken_in
from patchbay.guards.formats.responses import ResponsesCodec
from patchbay.guards.formats.sse import DONE, split
from patchbay.guards.formats.texts import AnswerTexts
from patchbay.guards.masks import Masks, Unmask
from patchbay.guards.rules.rule import Rule
from patchbay.guards.scan.load import load_scanner
from patchbay.guards.stream.channel import Channel
from patchbay.guards.stream.rules_watch import GuardRule, RuleSet, RulesWatch
from patchbay.guards.verdict import Action
from patchbay.router.http.endpoints import find_endpoint

RULES = (
    Rule(name="mail", kind="MAIL", pattern=r"[a-z.]{1,20}@[a-z]{1,20}\.[a-z]{2,3}\b"),
    Rule(name="key", kind="KEY", pattern=r"\bKEY[0-9]{6}\b"),
)
SCANNER = load_scanner(RULES, None)
TEXT = "Write to jane.doe@example.org or use KEY123456, please."
CLEAN = "Write to [MAIL] or use [KEY], please."
PIECES = ["Write to ja", "ne.d", "oe@exam", "ple", ".org or us", "e KEY12", "345", "6, ple", "ase."]
HEAD = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m"}


def texts(action: Action = "redact") -> AnswerTexts:
    rules = RuleSet([GuardRule(rule, "g", action) for rule in RULES], SCANNER)
    return AnswerTexts(
        make=lambda escaped, lead: Channel(
            [RulesWatch(rules, escaped=escaped)], lambda span: f"[{span.kind}]", is_json=escaped
        ),
        note=lambda _: None,
        masks=Masks(),
    )


def sse(*data: Any) -> bytes:
    return b"".join(b"data: " + json.dumps(one).encode() + b"\n\n" for one in data)


def chat(delta: dict[str, Any], index: int = 0, finish: str | None = None, **more: Any) -> dict[str, Any]:
    return {**HEAD, "choices": [{"index": index, "delta": delta, "finish_reason": finish, **more}]}


def run(codec: Codec, events: Iterable[bytes]) -> list[Any]:
    out = b""
    try:
        for one in events:
            out += codec.feed(one)
        out += codec.finish()
    except StreamStopped as stop:
        out += stop.last
    return [data if data is not None else event for event, data in split(out)]


def choices(action: Action = "redact", *, count: int = 1, usage: bool = False) -> ChoicesCodec:
    return ChoicesCodec(
        texts(action), lambda: (3, 5), lambda side: {"g": side}, RequestedAnswer(choices=count, usage=usage)
    )


def strings(value: Any) -> str:
    """All strings of a value, in their order."""
    if isinstance(value, dict):
        return "".join(map(strings, value.values()))
    if isinstance(value, list):
        return "".join(map(strings, value))
    return value if isinstance(value, str) else ""


def at(*path: Any) -> Callable[[Any], str]:
    def get(value: Any) -> str:
        for part in path:
            if isinstance(value, list):
                value = value[part] if part < len(value) else None
            else:
                value = value.get(part) if isinstance(value, dict) else None
        return value or ""

    return get


DELTAS: dict[str, tuple[Callable[[str], dict[str, Any]], Callable[[Any], str]]] = {
    "content": (lambda text: {"content": text}, at("choices", 0, "delta", "content")),
    "reasoning": (lambda text: {"reasoning": text}, at("choices", 0, "delta", "reasoning")),
    "refusal": (lambda text: {"refusal": text}, at("choices", 0, "delta", "refusal")),
    "something new": (lambda text: {"thoughts": {"text": text}}, at("choices", 0, "delta", "thoughts", "text")),
    "arguments": (
        lambda text: {"tool_calls": [{"index": 0, "function": {"arguments": text}}]},
        at("choices", 0, "delta", "tool_calls", 0, "function", "arguments"),
    ),
}


@pytest.mark.parametrize("channel", DELTAS)
def test_a_chats_text_gets_through_in_a_field(channel: str) -> None:
    make, get = DELTAS[channel]
    events = [sse(chat({"role": "assistant", "content": ""})), *(sse(chat(make(piece))) for piece in PIECES)]
    got = run(choices(), [*events, sse(chat({}, finish="stop")), DONE])
    assert "".join(map(get, got[:-1])) == CLEAN
    assert got[-1] == DONE
    assert [one["choices"][0]["finish_reason"] for one in got[:-1] if one["choices"][0].get("finish_reason")] == [
        "stop"
    ]


@given(st.lists(st.integers(0, len(TEXT)), max_size=20), st.booleans())
@settings(deadline=None)
def test_how_events_come_in_reads_makes_a_difference(places: list[int], one_read: bool) -> None:
    edges = sorted({0, len(TEXT), *places})
    events = [sse(chat({"content": TEXT[start:end]})) for start, end in pairwise(edges)]
    events += [sse(chat({}, finish="stop")), DONE]
    got = run(choices(), [b"".join(events)] if one_read else events)
    assert "".join(map(at("choices", 0, "delta", "content"), got[:-1])) == CLEAN


def test_answers_to_one_prompt_are_mixed_up() -> None:
    events = [sse(chat({"content": piece}, index)) for piece in PIECES for index in (0, 1)]
    events += [sse(chat({}, index, "stop")) for index in (0, 1)]
    got = run(choices(count=2), [*events, DONE])
    for index in (0, 1):
        mine = [one["choices"][0] for one in got[:-1] if one["choices"][0]["index"] == index]
        assert "".join(one["delta"].get("content", "") for one in mine) == CLEAN
        assert sum(one["finish_reason"] is not None for one in mine) == 1


def test_log_probabilities_or_token_ids_tell_what_was_left_out() -> None:
    beside: dict[str, Any] = {"logprobs": {"content": [{"token": "jane", "logprob": -1}]}, "token_ids": [7]}
    events = [sse(chat({"content": piece}, **beside)) for piece in PIECES]
    got = run(choices(), [*events, sse(chat({}, finish="stop")), DONE])
    assert "jane" not in strings(got[:-1])
    assert not any(one["choices"][0].get("token_ids") for one in got[:-1])
    clean = [sse(chat({"content": "nothing here "}, **beside)) for _ in range(2)]
    got = run(choices(), [*clean, sse(chat({}, finish="stop")), DONE])
    assert len(got[-2]["choices"][0]["logprobs"]["content"]) == 2
    assert got[-2]["choices"][0]["token_ids"] == [7, 7]


def test_a_block_ends_a_chat_otherwise_than_by_one_ordinary_chunk_usage_and_done() -> None:
    events = [sse(chat({"content": piece})) for piece in PIECES]
    got = run(choices("block", usage=True), [*events, sse(chat({}, finish="stop")), DONE])
    assert "".join(map(at("choices", 0, "delta", "content"), got[:-2])) == "Write to "
    assert [one["choices"][0]["finish_reason"] for one in got[:-2]].count("content_filter") == 1
    assert got[-3]["choices"][0]["finish_reason"] == "content_filter"
    assert got[-2]["usage"] == {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8}
    assert got[-1] == DONE


def test_a_block_of_one_choice_ends_the_other_one() -> None:
    events = [sse(chat({"content": piece}, 0)) for piece in PIECES]
    events += [sse(chat({"content": "all is well"}, 1)), sse(chat({}, 1, "stop")), sse(chat({}, 0, "stop")), DONE]
    got = run(choices("block", count=2), events)
    ends = [(one["choices"][0]["index"], one["choices"][0]["finish_reason"]) for one in got[:-1]]
    assert [end for end in ends if end[1]] == [(0, "content_filter"), (1, "stop")]
    assert got[-1] == DONE


def test_a_completions_text_gets_through() -> None:
    events = [sse({**HEAD, "choices": [{"index": 0, "text": piece, "finish_reason": None}]}) for piece in PIECES]
    got = run(
        choices(), [*events, sse({**HEAD, "choices": [{"index": 0, "text": "", "finish_reason": "length"}]}), DONE]
    )
    assert "".join(map(at("choices", 0, "text"), got[:-1])) == CLEAN


def test_escapes_in_a_tools_arguments_hide_a_match() -> None:
    pieces = ['{"to": "jane.d', "oe\\", "u00", "40example.org", '"}']
    make, get = DELTAS["arguments"]
    got = run(choices(), [*(sse(chat(make(one))) for one in pieces), sse(chat({}, finish="tool_calls")), DONE])
    assert json.loads("".join(map(get, got[:-1]))) == {"to": "[MAIL]"}


def responses_events() -> list[bytes]:
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    part: dict[str, Any] = {"type": "output_text", "text": TEXT, "annotations": [], "logprobs": None}
    item = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [part]}
    whole = {"id": "resp_1", "object": "response", "status": "completed", "output": [item], "instructions": None}
    data: list[dict[str, Any]] = [
        {"type": "response.created", "response": {**whole, "output": [], "status": "in_progress"}},
        {"type": "response.output_item.added", "output_index": 0, "item": {**item, "content": []}},
        *({"type": "response.output_text.delta", **place, "delta": piece, "logprobs": []} for piece in PIECES),
        {"type": "response.output_text.done", **place, "text": TEXT, "logprobs": []},
        {"type": "response.content_part.done", **place, "part": part},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": whole},
    ]
    named = [{**one, "sequence_number": number} for number, one in enumerate(data)]
    return [b"event: " + str(one["type"]).encode() + b"\n" + sse(one) for one in named]


def test_a_responses_text_gets_through_in_any_of_its_events() -> None:
    got = run(ResponsesCodec(texts(), lambda: (3, 5)), responses_events())
    assert "jane" not in strings(got)
    assert "KEY1" not in strings(got)
    assert "".join(one["delta"] for one in got if one["type"] == "response.output_text.delta") == CLEAN
    assert [one["text"] for one in got if one["type"] == "response.output_text.done"] == [CLEAN]
    assert got[-1]["response"]["output"][0]["content"][0]["text"] == CLEAN
    assert [one["sequence_number"] for one in got] == list(range(len(got)))
    kinds = [one["type"] for one in got]
    assert kinds.index("response.output_text.done") > max(
        number for number, kind in enumerate(kinds) if kind == "response.output_text.delta"
    )


def test_a_blocked_response_ends_otherwise_than_as_incomplete() -> None:
    got = run(ResponsesCodec(texts("block"), lambda: (3, 5)), responses_events())
    assert got[-1]["type"] == "response.incomplete"
    assert got[-1]["response"]["incomplete_details"] == {"reason": "content_filter"}
    assert got[-1]["response"]["output"][0]["content"][0]["text"] == "Write to "
    assert "jane" not in strings(got)


def messages_events(kind: str = "text_delta", field: str = "text") -> list[bytes]:
    data: list[dict[str, Any]] = [
        {"type": "message_start", "message": {"id": "m", "role": "assistant", "content": [], "model": "m"}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *({"type": "content_block_delta", "index": 0, "delta": {"type": kind, field: piece}} for piece in PIECES),
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 9}},
        {"type": "message_stop"},
    ]
    return [b"event: " + one["type"].encode() + b"\n" + sse(one) for one in data]


@pytest.mark.parametrize(
    ("kind", "field"), [("text_delta", "text"), ("thinking_delta", "thinking"), ("input_json_delta", "partial_json")]
)
def test_a_messages_text_gets_through(kind: str, field: str) -> None:
    got = run(MessagesCodec(texts(), lambda: (3, 5)), messages_events(kind, field))
    assert "".join(one["delta"].get(field, "") for one in got if one["type"] == "content_block_delta") == CLEAN
    assert [one["type"] for one in got][-3:] == ["content_block_stop", "message_delta", "message_stop"]


def test_a_blocked_message_ends_otherwise_than_anthropics_do() -> None:
    got = run(MessagesCodec(texts("block"), lambda: (3, 5)), messages_events())
    assert [one["type"] for one in got][-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert got[-2]["delta"]["stop_reason"] == "refusal"
    assert "jane" not in strings(got)


WHOLE: dict[str, dict[str, Any]] = {
    "chat_completions": {
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": TEXT, "reasoning": TEXT, "tool_calls": [
                    {"id": "c", "type": "function", "function": {"name": "send", "arguments": json.dumps({"to": TEXT})}}
                ]},
                "logprobs": {"content": [{"token": "jane"}]},
                "finish_reason": "stop",
            }
        ]
    },
    "completions": {"choices": [{"index": 0, "text": TEXT, "logprobs": {"tokens": ["jane"]}, "finish_reason": "stop"}]},
    "responses": {"status": "completed", "output": [
        {"type": "reasoning", "id": "r", "content": [{"type": "reasoning_text", "text": TEXT}]},
        {"type": "function_call", "name": "send", "arguments": json.dumps({"to": TEXT}), "call_id": "c"},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": TEXT, "annotations": []}]},
    ]},
    "messages": {"stop_reason": "end_turn", "content": [
        {"type": "thinking", "thinking": TEXT, "signature": "s"},
        {"type": "text", "text": TEXT},
        {"type": "tool_use", "id": "t", "name": "send", "input": {"to": TEXT, "jane.doe@example.org": 1}},
    ]},
}  # fmt: skip


@pytest.mark.parametrize("endpoint", WHOLE)
def test_a_whole_answers_text_gets_through_in_a_field(endpoint: str) -> None:
    got = filtered_answer(endpoint, WHOLE[endpoint], texts())
    assert "jane" not in json.dumps(got)
    assert "KEY123456" not in json.dumps(got)
    assert CLEAN in strings(got)


@pytest.mark.parametrize("endpoint", WHOLE)
def test_a_whole_answer_is_blocked_without_saying_so(endpoint: str) -> None:
    got = filtered_answer(endpoint, WHOLE[endpoint], texts("block"))
    assert "jane" not in json.dumps(got)
    assert "content_filter" in json.dumps(got) or got.get("stop_reason") == "refusal"


@pytest.mark.parametrize("endpoint", WHOLE)
def test_a_clean_answer_is_changed(endpoint: str) -> None:
    clean = json.loads(json.dumps(WHOLE[endpoint]).replace("jane.doe@example.org", "nobody").replace("KEY123456", "it"))
    assert filtered_answer(endpoint, clean, texts()) == clean


@pytest.mark.parametrize("endpoint", WHOLE)
def test_who_judges_an_answer_does_not_see_some_of_what_the_model_says(endpoint: str) -> None:
    spoken = "".join(spoken_in(endpoint, WHOLE[endpoint]).values())
    assert "jane.doe@example.org" in spoken
    assert "KEY123456" in spoken


@pytest.mark.parametrize("escaped", [False, True])
def test_a_mask_that_is_taken_back_breaks_the_json_around_it(escaped: bool) -> None:
    masks = Masks()
    mask = masks.mask("X", 'a "quoted" word')
    unmask = Unmask(masks, escaped=escaped)
    out = "".join(unmask.feed(piece) for piece in (f"he said {mask[:2]}", f"{mask[2:]} to me")) + unmask.finish()
    assert (json.loads(f'"{out}"') if escaped else out) == 'he said a "quoted" word to me'


def test_an_endpoint_that_answers_with_text_has_no_guard() -> None:
    without_text = {"embeddings", "score", "rerank", "count_tokens", "tokenize", "detokenize"}
    paths = ["chat/completions", "completions", "responses", "embeddings", "messages", "messages/count_tokens"]
    paths += ["score", "rerank"]
    found = {find_endpoint("POST", f"/v1/{path}").name for path in paths}
    found |= {find_endpoint("POST", path, switched=True).name for path in ("/tokenize", "/detokenize")}
    from patchbay.router.http import endpoints

    forwarded = {one.name for one in endpoints._FIXED.values() if one.forwarded}  # noqa: SLF001 - all there are
    assert found == forwarded
    assert forwarded - without_text == set(WITH_TEXT) == set(WHOLE)


def test_an_answer_loses_a_value_where_two_keys_become_the_same() -> None:
    called = {"type": "tool_use", "id": "t", "name": "f", "input": {"a@b.de": 1, "c@d.de": 2, "[MAIL]": 3}}
    out = filtered_answer("messages", {"type": "message", "content": [called]}, texts())
    assert out["content"][0]["input"] == {"[MAIL]": 1, "[MAIL] 2": 2, "[MAIL] 3": 3}
