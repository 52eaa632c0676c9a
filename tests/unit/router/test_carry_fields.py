"""Each field of a request, and whether the stream of such a request can go on elsewhere: a table, and what is asked."""

import json
from typing import Any

import pytest

from patchbay.router.carry.continuation import COMPLETIONS, Continuation, Rest, Restart, Tail, continuation
from patchbay.router.carry.transcript import TOKEN_IDS, Transcript

PROMPT, TOKENS = [11, 12, 13], [1000, 1001]
FIRST = {"id": "one", "object": "chat.completion.chunk", "created": 17, "model": "sql"}
# The fields of a request that say how its next token is drawn: the rest is asked for with the same.
COPIED: dict[str, Any] = {
    "temperature": 0.5,
    "top_p": 0.9,
    "top_k": 40,
    "min_p": 0.05,
    "seed": 3,
    "repetition_penalty": 1.1,
    "stop_token_ids": [2],
    "ignore_eos": True,
    "skip_special_tokens": False,
    "spaces_between_special_tokens": False,
    "logit_bias": {"5": -100},
    "bad_words": ["no"],
    "allowed_token_ids": [1, 2],
    "priority": 1,
    "user": "u",
    "cache_salt": "s",
}
# Those that made the prompt, whose tokens are known, or that say nothing to an engine.
DROPPED: dict[str, Any] = {
    "prompt": "hi",
    "add_generation_prompt": True,
    "continue_final_message": False,
    "chat_template": "{{ messages }}",
    "chat_template_kwargs": {"a": 1},
    "documents": [{"text": "a"}],
    "metadata": {"a": "b"},
    "store": True,
    "service_tier": "auto",
    "parallel_tool_calls": True,
    "request_id": "r",
    "truncate_prompt_tokens": 10,
    "mm_processor_kwargs": {},
}
# Those whose state an engine keeps beside the tokens: values without effect, and one with.
STATEFUL: list[tuple[str, list[Any], list[Any]]] = [
    ("n", [None, 1], [0, 2]),
    ("best_of", [None, 1], [0, 2]),
    ("logprobs", [None, False, 0], [True, 1, 2]),
    ("top_logprobs", [None, 0], [1, -1]),
    ("prompt_logprobs", [None], [0, 1]),
    ("tools", [None, []], [[{"type": "function"}]]),
    ("tool_choice", [None, "none", "auto"], ["required", {"type": "function"}]),
    ("stop", [None, "", []], ["x", ["x"]]),
    ("presence_penalty", [None, 0, 0.0], [1, 0.5, -1]),
    ("frequency_penalty", [None, 0, 0.0], [1, 0.5, -1]),
    ("response_format", [None, {"type": "text"}], [{"type": "json_object"}, {}]),
    ("echo", [None, False], [True]),
    ("suffix", [None, ""], ["x"]),
]


def transcript(last: dict[str, Any] | None = None, *, prompt: bool = True) -> Transcript:
    """What a client got of an answer: two tokens, and `last` as the last event."""
    made = Transcript()
    head = b": prompt 11,12,13\n" if prompt else b""
    for number, event in enumerate([FIRST | {"choices": [{"index": 0}]}, last or FIRST | {"choices": [{"index": 0}]}]):
        ids = head + b": ids %d\n" % (1000 + number)
        made.note(made.strip(ids + b"data: " + json.dumps(event).encode() + b"\n\n"))
        head = b""
    return made


def planned(context: int | None = 100, seen: Transcript | None = None, **fields: Any) -> Continuation | None:
    """The plan for a chat with these fields."""
    asked = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": True, "max_tokens": 10, **fields}
    return continuation(json.dumps(asked).encode(), seen or transcript(), chat=True, context=context)


def rest(context: int | None = 100, **fields: Any) -> dict[str, Any]:
    """The body of the request for the rest."""
    plan = planned(context, **fields)
    assert isinstance(plan, Rest)
    body: dict[str, Any] = json.loads(plan.body)
    return body


PLAIN = {"model": "m", "prompt": PROMPT + TOKENS, "stream": True, "max_tokens": 8, "add_special_tokens": False}


def test_the_rest_is_asked_of_the_endpoint_for_completions_by_tokens() -> None:
    assert COMPLETIONS == "/v1/completions"
    assert TOKEN_IDS == b"x-patchbay-token-ids"
    assert rest() == PLAIN


@pytest.mark.parametrize("field", COPIED)
def test_a_field_that_says_how_tokens_are_drawn_goes_along_as_it_is(field: str) -> None:
    assert rest(**{field: COPIED[field]}) == PLAIN | {field: COPIED[field]}


@pytest.mark.parametrize("field", DROPPED)
def test_a_field_that_only_made_the_prompt_is_left_behind(field: str) -> None:
    assert rest(**{field: DROPPED[field]}) == PLAIN


@pytest.mark.parametrize(("field", "quiet", "loud"), STATEFUL, ids=[field for field, _, _ in STATEFUL])
def test_a_field_with_state_beside_the_tokens_rules_the_rest_out_but_for_values_without_effect(
    field: str, quiet: list[Any], loud: list[Any]
) -> None:
    for value in quiet:
        assert rest(**{field: value}) == PLAIN
    for value in loud:
        assert planned(**{field: value}) is None


@pytest.mark.parametrize("field", ["guided_json", "structured_outputs", "use_beam_search", "made_up"])
def test_a_field_that_nobody_here_knows_rules_the_rest_out(field: str) -> None:
    assert planned(**{field: None}) is None


def test_what_is_asked_of_special_tokens_was_done_already() -> None:
    assert rest(add_special_tokens=True)["add_special_tokens"] is False


@pytest.mark.parametrize(
    ("content", "goes_on"),
    [
        ("hi", True),
        (None, True),
        ([], True),
        ([{"type": "text", "text": "hi"}], True),
        ([{"type": "text", "text": "hi"}, {"type": "image_url", "image_url": {"url": "data:,"}}], False),
        ([{"type": "input_audio"}], False),
        ([{"text": "of no type"}], False),
    ],
)
def test_only_text_goes_on_since_a_completion_takes_no_image_and_no_sound(content: Any, goes_on: bool) -> None:
    plan = planned(messages=[{"role": "system", "content": "x"}, {"role": "user", "content": content}])
    assert isinstance(plan, Rest) is goes_on


@pytest.mark.parametrize(
    ("fields", "context", "asked"),
    [
        ({"max_tokens": 10}, None, 8),
        ({"max_tokens": 3}, None, 1),
        ({"max_tokens": 2}, None, None),
        ({"max_tokens": 1}, None, None),
        ({"max_tokens": 10, "max_completion_tokens": 7}, 100, 5),
        ({"max_tokens": None, "max_completion_tokens": 7}, None, 5),
        ({"max_tokens": None}, 100, 95),
        ({"max_tokens": None}, 6, 1),
        ({"max_tokens": None}, 5, None),
        ({"max_tokens": None}, None, None),
    ],
)
def test_the_rest_may_be_as_long_as_is_left_of_the_limit_or_of_what_the_model_holds(
    fields: dict[str, Any], context: int | None, asked: int | None
) -> None:
    plan = planned(context, **fields)
    assert (json.loads(plan.body)["max_tokens"] if isinstance(plan, Rest) else plan) == asked


@pytest.mark.parametrize(("least", "left"), [(5, 3), (3, 1), (2, 0), (1, 0)])
def test_the_least_length_of_an_answer_holds_for_the_whole_of_it(least: int, left: int) -> None:
    assert rest(min_tokens=least) == PLAIN | {"min_tokens": left}


@pytest.mark.parametrize("least", [None, 0])
def test_no_least_length_is_asked_for_where_there_was_none(least: int | None) -> None:
    assert rest(min_tokens=least) == PLAIN


@pytest.mark.parametrize("options", [{"include_usage": True}, {"include_usage": False}, {"include_usage": None}])
def test_options_of_the_stream_go_along(options: dict[str, Any]) -> None:
    assert rest(stream_options=options) == PLAIN | {"stream_options": options}


def test_no_options_of_the_stream_are_made_up() -> None:
    assert rest(stream_options=None) == PLAIN


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"max_tokens":"ten"}', b'{"model":"\xff"}', b"[" * 100_000])
def test_a_body_that_cannot_be_read_is_not_carried_on(body: bytes) -> None:
    assert continuation(body, transcript(), chat=True, context=100) is None


def test_without_any_event_the_request_is_made_again_whatever_it_says() -> None:
    assert continuation(b"not JSON", Transcript(), chat=True, context=None) == Restart()


def test_without_the_prompts_tokens_nothing_goes_on() -> None:
    assert planned(seen=transcript(prompt=False)) is None


def test_after_an_error_nothing_goes_on() -> None:
    assert planned(seen=transcript({"error": {"message": "broken"}})) is None


DONE = b"data: [DONE]\n\n"
FINISHED = FIRST | {"choices": [{"index": 0, "finish_reason": "stop"}]}


def test_after_the_usage_only_the_streams_end_is_missing() -> None:
    assert planned(seen=transcript(FIRST | {"choices": [], "usage": {}})) == Tail(DONE)


def test_an_event_without_choices_that_is_no_usage_is_not_the_last() -> None:
    assert isinstance(planned(seen=transcript(FIRST | {"choices": []})), Rest)
    assert isinstance(planned(seen=transcript(FIRST | {"usage": {}})), Rest)


@pytest.mark.parametrize("options", [None, {}, {"include_usage": False}])
def test_after_the_last_word_only_the_streams_end_is_missing_where_no_usage_was_asked_for(options: Any) -> None:
    assert planned(seen=transcript(FINISHED), stream_options=options) == Tail(DONE)
    assert planned(seen=transcript(FINISHED, prompt=False), stream_options=options) == Tail(DONE)


def test_a_usage_that_was_asked_for_is_counted_from_the_tokens() -> None:
    plan = planned(seen=transcript(FINISHED), stream_options={"include_usage": True})
    assert isinstance(plan, Tail)
    event, end = plan.events.removeprefix(b"data: ").split(b"\n\n", 1)
    counts = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    assert json.loads(event) == FIRST | {"choices": [], "usage": counts}
    assert end == DONE


def test_a_usage_that_cannot_be_counted_is_not_made_up() -> None:
    seen = transcript(FINISHED, prompt=False)
    assert planned(seen=seen, stream_options={"include_usage": True}) is None
