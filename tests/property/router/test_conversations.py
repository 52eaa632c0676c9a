"""Conversations: whatever turns there were, a request gets all of them, in order and as they were."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchbay.core.errors import ConversationTooLong, InvalidRequest, PreviousResponseNotFound
from patchbay.registry.responses import ConversationEnd, ConversationTurn, KeptResponse, ResponseDraft
from patchbay.router.responses.answers import KeepCase, draft_of, told, whole_response
from patchbay.router.responses.conversation import check_length, check_whole, expanded, own_items
from patchbay.router.responses.final_events import FinalEvents, response_in, split_final, with_response
from patchbay.router.responses.items import Paging, items_page
from tests.fakes.response_words import response_events, response_object

TEXTS = st.text(max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
ITEMS = st.dictionaries(st.sampled_from(["type", "role", "content", "id", "output", "arguments"]), VALUES, max_size=4)
INPUTS = TEXTS | st.lists(ITEMS, max_size=4)


def as_items(value: Any) -> list[Any]:
    return [{"type": "message", "role": "user", "content": value}] if isinstance(value, str) else value


@given(st.lists(st.tuples(INPUTS, st.lists(ITEMS, max_size=3)), min_size=1, max_size=5), INPUTS, st.none() | TEXTS)
def test_each_turn_sees_all_before_it_and_nothing_is_lost_or_changed(
    turns: list[tuple[Any, list[Any]]], last: Any, instructions: str | None
) -> None:
    kept: list[ConversationTurn] = []
    previous, seen = None, list[Any]()
    for number, (asked, answered) in enumerate([*turns, (last, [])]):
        fields = {"model": "sql", "input": asked, "instructions": instructions, "previous_response_id": previous}
        body, earlier = expanded(json.dumps(fields).encode(), kept[::-1])
        sent = json.loads(body)
        seen += as_items(asked)
        assert sent == {"model": "sql", "input": seen, "instructions": instructions}
        assert json.loads(own_items(body, earlier)) == as_items(asked)
        seen += answered
        previous = f"resp_{number}"
        before = kept[-1].id if kept else None
        kept.append(
            ConversationTurn(
                id=previous, input=own_items(body, earlier), output=json.dumps(answered).encode(), previous=before
            )
        )


@given(INPUTS)
def test_the_items_of_a_request_without_a_conversation_are_all_its_own(asked: Any) -> None:
    assert json.loads(own_items(json.dumps({"input": asked}).encode(), 0)) == as_items(asked)


@pytest.mark.parametrize("asked", [None, 3, {"role": "user"}, True])
def test_what_is_no_input_is_refused_by_its_name(asked: Any) -> None:
    with pytest.raises(InvalidRequest) as refused:
        expanded(json.dumps({"input": asked}).encode(), [])
    assert refused.value.param == "input"


@given(st.integers(1, 6), st.integers(0, 6))
def test_a_conversation_that_is_not_whole_is_refused_by_the_id_that_is_missing(length: int, there: int) -> None:
    end = ConversationEnd(key="key", id=f"resp_{length}", turns=length, size=10)
    names = [f"resp_{number}" for number in range(length, 0, -1)]
    turns = [
        ConversationTurn(id=name, input=b"[]", output=b"[]", previous=before)
        for name, before in zip(names, [*names[1:], None], strict=True)
    ][:there]
    if there >= length:
        check_whole(turns, end)
        return
    with pytest.raises(PreviousResponseNotFound, match=f"'{names[there]}' not found"):
        check_whole(turns, end)


def test_a_conversation_may_be_as_long_as_it_may_be_and_no_longer() -> None:
    check_length(ConversationEnd(key="key", id="resp_1", turns=9, size=100), 10, 100)
    for turns, size in ((10, 100), (9, 101)):
        with pytest.raises(ConversationTooLong):
            check_length(ConversationEnd(key="key", id="resp_1", turns=turns, size=size), 10, 100)


def case(previous: ConversationEnd | None = None, most_bytes: int = 10_000, tenant: str = "acme") -> KeepCase:
    return KeepCase(tenant=tenant, body=b'{"input": "hi"}', earlier=0, previous=previous, most_bytes=most_bytes)


@given(st.lists(TEXTS, max_size=4), st.booleans(), VALUES)
def test_a_response_is_read_back_as_its_client_got_it(words: list[str], goes_on: bool, metadata: Any) -> None:
    previous = ConversationEnd(key="key", id="resp_before", turns=1, size=10) if goes_on else None
    answer = json.dumps(response_object({"model": "sql@3", "metadata": metadata}, 1, words)).encode()
    draft = draft_of(answer, case(previous))
    assert isinstance(draft, ResponseDraft)
    got = told(answer, previous, stored=True)
    assert (
        whole_response(KeptResponse(id=draft.id, response=draft.response, output=draft.output, input=draft.input))
        == got
    )
    expected = {**json.loads(answer), "store": True}
    assert json.loads(got) == (expected | {"previous_response_id": "resp_before"} if goes_on else expected)
    assert (draft.model, json.loads(draft.output)) == ("sql@3", expected["output"])


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"status": "failed"}, "not_whole"),
        ({"status": "in_progress"}, "not_whole"),
        ({"error": {"message": "no"}}, "not_whole"),
        ({"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}, "not_whole"),
        ({"id": "../../x"}, "unreadable"),
        ({"id": "x" * 129}, "unreadable"),
        ({"id": 7}, "unreadable"),
        ({"output": "text"}, "unreadable"),
        ({"instructions": "x" * 10_000}, "too_large"),
    ],
)
def test_what_is_cut_or_odd_or_large_is_not_kept(changes: dict[str, Any], why: str) -> None:
    answer = json.dumps({**response_object({"model": "sql"}, 1, ["hi"]), **changes}).encode()
    assert draft_of(answer, case()) == why


@pytest.mark.parametrize("answer", [b"", b"[]", b"{", b'{"id": "\xff"}', b'"text"'])
def test_an_answer_that_is_no_response_stays_as_it_is(answer: bytes) -> None:
    assert draft_of(answer, case()) == "unreadable"
    if answer != b'{"id": "\xff"}':
        assert told(answer, None, stored=False) == answer


def test_a_long_conversation_does_not_make_a_short_response_too_large() -> None:
    answer = json.dumps(response_object({"model": "sql"}, 1, ["hi"])).encode()
    body, earlier = expanded(
        b'{"input": "hi"}',
        [ConversationTurn(id="resp_1", input=json.dumps(["x" * 20_000]).encode(), output=b"[]", previous=None)],
    )
    assert isinstance(
        draft_of(answer, KeepCase(tenant="acme", body=body, earlier=earlier, previous=None, most_bytes=10_000)),
        ResponseDraft,
    )


@given(st.lists(st.text(max_size=60) | st.just("event: response.completed"), max_size=5), st.data())
def test_a_streams_end_is_held_back_however_its_events_come(words: list[str], data: st.DataObject) -> None:
    previous = ConversationEnd(key="key", id="resp_before", turns=1, size=10) if data.draw(st.booleans()) else None
    events = response_events({"model": "sql"}, 1, words)
    holding, out = FinalEvents(previous), b""
    while events:
        many = data.draw(st.integers(1, len(events)))
        out += holding.pass_on(b"".join(events[:many]))
        events = events[many:]
    before, final, after = split_final(holding.held)
    assert (before, after) == (b"", b"")
    assert response_in(final) == json.dumps(response_object({"model": "sql"}, 1, words)).encode()
    assert b"response.completed\ndata" not in out
    shown = [json.loads(event.partition(b"data: ")[2]) for event in out.split(b"\n\n") if event]
    expected = [json.loads(event.partition(b"data: ")[2]) for event in response_events({"model": "sql"}, 1, words)]
    if previous is not None:
        for event in expected[:2]:
            event["response"]["previous_response_id"] = "resp_before"
    assert shown == expected[:-1]
    changed = json.loads(with_response(final, b'{"id":"x"}').partition(b"data: ")[2])
    assert changed == {**expected[-1], "response": {"id": "x"}}


@given(st.lists(ITEMS | TEXTS, max_size=12), st.integers(1, 5), st.booleans())
def test_all_pages_together_are_all_items_each_once(items: list[Any], limit: int, newest_first: bool) -> None:
    # Clients may give two items one id: then a page begins after the first of them.
    items = [{**item, "id": f"id_{place}"} if isinstance(item, dict) else item for place, item in enumerate(items)]
    kept, after, seen = (
        KeptResponse(id="resp_1", response=b"{}", output=b"[]", input=json.dumps(items).encode()),
        None,
        list[str](),
    )
    while True:
        page = json.loads(items_page(kept, Paging(limit, newest_first, after)))
        seen += [item["id"] for item in page["data"]]
        after = page["last_id"]
        if not page["has_more"]:
            break
    assert len(set(seen)) == len(seen) == len(items)
    expected = [item["id"] for item in items if isinstance(item, dict)]
    named = [name for name in (seen[::-1] if newest_first else seen) if name.startswith("id_")]
    assert named == expected
