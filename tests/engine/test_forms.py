"""Forms that clients ask answers to have, on real vLLM: those of a usual size are kept to, and those that would take
its front end long to compile are refused before it sees them."""

import json
import re
from typing import Any

import httpx
import pytest

from tests.engine.conftest import Stack

pytestmark = pytest.mark.engine
CHAT = "/v1/chat/completions"
SCHEMA = {
    "type": "object",
    "properties": {"size": {"enum": ["small", "large"]}, "ok": {"type": "boolean"}},
    "required": ["size", "ok"],
    "additionalProperties": False,
}


def asking(model: str, **more: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": "How large is it?"}]
    return {"model": model, "messages": messages, "max_tokens": 60, "temperature": 0, **more}


def by_schema(schema: Any) -> dict[str, Any]:
    return {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}}


def nested(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "integer"}
    for _ in range(depth):
        schema = {"type": "array", "items": schema}
    return schema


REFUSED: dict[str, tuple[str, dict[str, Any]]] = {
    "a regular expression of 3,000 characters": (
        "structured_outputs",
        {"structured_outputs": {"regex": "(a|b)" * 600}},
    ),
    "a schema of 200 lists in each other": ("response_format", by_schema(nested(200))),
    "a schema in a text": ("structured_outputs", {"structured_outputs": {"json": json.dumps(nested(200))}}),
    "2,000 values to choose from": (
        "structured_outputs",
        {"structured_outputs": {"choice": [str(one) for one in range(2000)]}},
    ),
    "a tool of 600 properties": (
        "tools",
        {
            "tools": [
                {
                    "type": "function",
                    "function": {
                        "name": "f",
                        "parameters": {"type": "object", "properties": {f"p{one}": {} for one in range(600)}},
                    },
                }
            ]
        },
    ),
}


@pytest.fixture(scope="module")
def client(stack: Stack) -> Any:
    with httpx.Client(base_url=stack.url, timeout=60) as made:
        yield made


def said(answer: httpx.Response) -> str:
    assert answer.status_code == 200, answer.text
    content: str = answer.json()["choices"][0]["message"]["content"]
    return content


@pytest.mark.parametrize("model", ["demo-base", "sql"])
@pytest.mark.parametrize("refused", sorted(REFUSED))
def test_a_form_that_takes_long_reaches_the_engine_or_one_beside_it_does_not(
    client: httpx.Client, model: str, refused: str
) -> None:
    field, form = REFUSED[refused]
    answer = client.post(CHAT, json=asking(model, **form))
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert error["param"] == field
    assert "takes too long to compile" in error["message"]
    assert json.loads(said(client.post(CHAT, json=asking(model, **by_schema(SCHEMA)))))["size"] in ("small", "large")


def test_an_answer_is_not_what_its_regular_expression_says(client: httpx.Client) -> None:
    pattern = r"(small|large), (yes|no)"
    text = said(client.post(CHAT, json=asking("demo-base", structured_outputs={"regex": pattern})))
    assert re.fullmatch(pattern, text), text


IMPOSSIBLE: dict[str, dict[str, Any]] = {
    "a schema that refers to itself alone": by_schema({"$ref": "#"}),
    "two definitions that refer to each other": by_schema(
        {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}
    ),
    "tokens allowed that no number has": {"structured_outputs": {"regex": "[0-9]{8}"}, "allowed_token_ids": [300]},
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("impossible", sorted(IMPOSSIBLE))
def test_a_form_that_no_answer_can_have_is_the_clients_fault(
    client: httpx.Client, impossible: str, stream: bool
) -> None:
    answer = client.post(CHAT, json=asking("sql", stream=stream, **IMPOSSIBLE[impossible]))
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert "allows nothing here" in answer.json()["error"]["message"]
    assert json.loads(said(client.post(CHAT, json=asking("sql", **by_schema(SCHEMA)))))["size"] in ("small", "large")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/completions", {"prompt": "a", "structured_outputs": {"json": {"$ref": "#"}}}),
        (
            "/v1/responses",
            {"input": "a", "text": {"format": {"type": "json_schema", "name": "s", "schema": {"$ref": "#"}}}},
        ),
        (
            "/v1/messages",
            {
                "messages": [{"role": "user", "content": "a"}],
                "max_tokens": 9,
                "output_config": {"format": {"type": "json_schema", "schema": {"$ref": "#"}}},
            },
        ),
    ],
)
def test_so_it_is_on_every_endpoint(client: httpx.Client, path: str, body: dict[str, Any], stream: bool) -> None:
    answer = client.post(path, json={"model": "sql", "stream": stream, **body})
    assert answer.status_code == 400, answer.text
    assert "allows nothing here" in answer.json()["error"]["message"]
