from typing import Any

import pytest

from patchbay.core.errors import InvalidRequest
from patchbay.server.forms import check_forms


def lists(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(depth):
        schema = {"type": "array", "items": schema}
    return schema


def asked(schema: Any) -> dict[str, Any]:
    return {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}}


HOSTILE: dict[str, dict[str, Any]] = {
    "lists in each other": asked(lists(400)),
    "more values than are compiled in time": asked({"enum": [f"value {number}" for number in range(2000)]}),
    "many small choices": asked({"anyOf": [{"enum": list(range(50))} for _ in range(50)]}),
    "a wide object": asked({"properties": {f"p{number}": {} for number in range(3000)}}),
    "a long name": asked({"properties": {"x" * 200_000: {}}}),
    "a long pattern": asked({"type": "string", "pattern": "a" * 5000}),
    "a long regex": {"structured_outputs": {"regex": "a?" * 3000}},
    "many choices": {"structured_outputs": {"choice": ["x"] * 5000}},
    "a long grammar": {"structured_outputs": {"grammar": "root ::= " + "x " * 100_000}},
    "a schema in a text": {"structured_outputs": {"json": '{"items":' * 300 + "{}" + "}" * 300}},
    "a schema in a text, deeper than Python": {"structured_outputs": {"json": '{"items":' * 9000 + "{}" + "}" * 9000}},
    "a tool's parameters": {"tools": [{"type": "function", "function": {"name": "f", "parameters": lists(400)}}]},
    "a response's format": {"text": {"format": {"type": "json_schema", "name": "x", "schema": lists(400)}}},
    "a message's tool": {"tools": [{"name": "f", "input_schema": lists(400)}]},
    "a message's format": {"output_config": {"format": {"type": "json_schema", "schema": lists(400)}}},
}


@pytest.mark.parametrize("fields", HOSTILE.values(), ids=HOSTILE)
def test_the_engine_is_not_given_what_would_hold_it(fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest) as refused:
        check_forms(fields)
    assert refused.value.param == next(iter(fields))


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"response_format": {"type": "json_object"}},
        {"response_format": None, "tools": None, "text": "no object"},
        asked({"type": "object", "properties": {"a": lists(20), "b": {"enum": ["x", "y"]}}}),
        {"structured_outputs": {"regex": r"\d{3}-\d{4}", "json": "no json {"}},
        {"structured_outputs": {"json": "{broken"}},
        {"messages": [{"role": "user", "content": "x" * 500_000}]},
    ],
)
def test_what_people_ask_for_goes_through(fields: dict[str, Any]) -> None:
    check_forms(fields)
