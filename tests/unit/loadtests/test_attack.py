"""What an attack is made of: values, tries, their order, the table. Without vLLM and without a server."""

import json
from itertools import islice
from typing import Any

import pytest

from loadtests.attack.archives import archives
from loadtests.attack.bodies import bodies
from loadtests.attack.framing import framing
from loadtests.attack.hostile import HOSTILE
from loadtests.attack.models import Endpoint, Surface
from loadtests.attack.schemas import schemas
from loadtests.attack.sweep import sweep
from loadtests.attack.tally import COLUMNS, Tally
from loadtests.attack.tries import Answer, Try, Violation, request
from loadtests.attack.values import valid_value, values_of
from loadtests.attack.watch import held_in
from loadtests.tables import put_into_page
from patchbay.core.errors import PatchbayError

CHAT = Endpoint("/v1/chat/completions", (), {"messages": [], "max_tokens": 1})
COUNT = Endpoint("/v1/messages/count_tokens", (), {"messages": []}, streams=False)
SURFACES = (
    Surface(CHAT, {"n": (0, 1, 2), "stop": ("a", None), "seed": tuple(range(50))}),
    Surface(COUNT, {"system": ("a", 1)}),
)


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "integer", "minimum": 7}, [0, -1, 2**63, 6, 7, 8, "1", 1.0, None]),
        ({"anyOf": [{"type": "boolean"}, {"type": "null"}]}, [True, False, "true", None]),
        ({"enum": ["left", "right"], "type": "string"}, ["left", "right", 1, None]),
        ({"type": "array", "items": {"type": "integer"}}, [[], [1], [None], [-1], "hi", None]),
        ({"$ref": "#/$defs/S"}, [{}, {"a": 1}, {"a": None}, {"a": "1"}, [], None]),
        ({}, ["hi", 1, {}, [], None]),
    ],
)
def test_a_type_has_valid_values_edges_null_and_wrong_ones(schema: dict[str, Any], expected: list[Any]) -> None:
    definitions = {"S": {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}}
    found = [repr(value) for value in values_of(schema, definitions)]
    assert {repr(value) for value in expected} <= set(found)
    assert len(found) == len(set(found))


def test_a_type_that_refers_to_itself_has_an_end() -> None:
    schema = {"type": "object", "properties": {"a": {"$ref": "#/$defs/S"}}, "required": ["a"]}
    assert valid_value({"$ref": "#/$defs/S"}, {"S": schema}) == {"a": {"a": {"a": {"a": None}}}}
    assert values_of(schema, {"S": schema})


def test_every_value_alone_is_tried_before_pairs_are_all_that_is_left() -> None:
    tries = list(islice(sweep(SURFACES, ["base", "sql"], 1), 200))
    alone = [one for one in tries if len(one.fields) == 1]
    assert len(alone) == 3 + 2 + 50 + 2
    assert {json.dumps(dict(one.fields)) for one in alone} >= {'{"n": 0}', '{"stop": null}', '{"system": 1}'}
    assert all(len(one.fields) == 2 for one in tries[-50:])


def test_fields_take_turns_so_that_a_short_sweep_tries_each() -> None:
    first = list(islice(sweep(SURFACES, ["base"], 3), 10))
    assert {name for one in first for name in one.fields} == {"n", "stop", "seed", "system"}


def test_a_seed_decides_the_whole_order_and_another_another() -> None:
    def bodies_of(seed: int) -> list[bytes]:
        return [one.body for one in islice(sweep(SURFACES, ["base", "sql"], seed), 80)]

    assert bodies_of(5) == bodies_of(5) != bodies_of(6)


def test_only_endpoints_that_stream_are_asked_to() -> None:
    tries = list(islice(sweep(SURFACES, ["base"], 1), 300))
    streamed = {one.path for one in tries if json.loads(one.body).get("stream")}
    assert streamed == {CHAT.path}


def test_a_try_without_a_field_is_the_same_try_but_for_it() -> None:
    both = request("k", "/p", {"model": "sql"}, {"n": 2**70, "stop": ["x"]})
    assert json.loads(both.without("n").body) == {"model": "sql", "stop": ["x"]}
    assert json.loads(both.body)["n"] == 2**70


@pytest.mark.parametrize("made", [bodies, framing, lambda: schemas("formed")], ids=["bodies", "framing", "schemas"])
def test_the_other_parts_have_tries_of_their_own_names(made: Any) -> None:
    tries = list(made())
    assert len(tries) > 30
    assert all(one.what for one in tries)


def test_archives_are_small_to_send_whatever_they_unpack_to() -> None:
    first = list(islice(archives(), 3))
    assert all(one.door == "operators" and len(one.body) < 1 << 20 for one in first)


def test_hostile_values_can_be_sent() -> None:
    for name, values in HOSTILE.items():
        for value in values:
            assert request("k", "/p", {}, {name: value}).body


def test_the_count_of_long_turns_is_read_from_the_routers_metrics() -> None:
    text = "# TYPE patchbay_router_event_loop_held_total counter\npatchbay_router_event_loop_held_total 3.0\n"
    assert held_in(text) == 3
    with pytest.raises(PatchbayError, match="do not say"):
        held_in("patchbay_router_requests_total 1.0\n")


def test_the_table_counts_each_answer_once_and_says_what_was_violated() -> None:
    tally = Tally(seed=4, seconds=60)
    for answer in (Answer(200), Answer(404), Answer(0, left=True), Answer(500, True), Answer(200, True)):
        tally.row("fields").note(answer)
    tally.violations.append(Violation("it fell over", Try("fields", "this")))
    assert tally.row("fields").cells == (5, 1, 1, 1, 2, 0, 0, 0)
    assert "| fields | 5 | 1 | 1 | 1 | 2 | 0 | 0 | 0 |" in tally.markdown()
    assert json.loads(tally.as_json())["violations"] == [{"what": "it fell over", "by": "this", "detail": ""}]
    assert len(tally.table().columns) == 1 + len(COLUMNS)


def test_the_table_takes_the_place_between_a_pages_markers() -> None:
    page = "a\n<!-- attack: begin -->\nold\n<!-- attack: end -->\nb\n"
    assert put_into_page(page, "attack", "new") == "a\n<!-- attack: begin -->\nnew\n<!-- attack: end -->\nb\n"
    with pytest.raises(ValueError, match="no <!--"):
        put_into_page("a", "attack", "new")
