"""Places of the wire formats: vLLM's own models of requests, with a text in each of their fields."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

import pytest
from openai.types.responses import ResponseStreamEvent

import patchbay.router
from patchbay.guards.formats.protocol_words import WORDS
from patchbay.guards.prompts import visit_texts
from patchbay.router.http.endpoints import FORWARDED_PATHS, find_endpoint

DESCRIPTION = json.loads((Path(patchbay.router.__file__).parent / "http" / "openapi.json").read_text())
SCHEMAS: Mapping[str, Any] = DESCRIPTION["components"]["schemas"]
TEXT = "my text, which is no word of a protocol"
# Where strings may stand that are not read, by endpoint. Each is seen by nobody but the server's own code.
UNREAD = {
    "chat_completions": {"model", "cache_salt"},
    "completions": {"model", "cache_salt"},
    "responses": {"model", "cache_salt", "previous_response_id", "input.encrypted_content"},
    "messages": {"model", "cache_salt", "messages.content.signature"},
    "count_tokens": {"model", "messages.content.signature"},
    "embeddings": {"model", "cache_salt"},
    "rerank": {"model", "cache_salt"},
    "score": {"model", "cache_salt"},
    "tokenize": {"model"},
    "detokenize": {"model"},
}


def leaves(schema: Mapping[str, Any], path: tuple[str, ...] = (), seen: frozenset[str] = frozenset()) -> Iterator[Any]:
    """The places in a schema where a string may stand; JSON of any form is a string under `anything`."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        if name not in seen:
            yield from leaves(SCHEMAS[name], path, seen | {name})
        return
    for one in (*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("allOf", ())):
        yield from leaves(one, path, seen)
    if schema.get("type") == "string" and "const" not in schema and "enum" not in schema:
        yield path
    if "items" in schema:
        yield from leaves(schema["items"], path, seen)
    for name, one in schema.get("properties", {}).items():
        yield from leaves(one, (*path, name), seen)
    if schema.get("additionalProperties"):
        yield (*path, "anything")


def requests() -> Iterator[tuple[str, Mapping[str, Any]]]:
    for path in sorted(FORWARDED_PATHS):
        content = DESCRIPTION["paths"][path]["post"]["requestBody"]["content"]
        yield find_endpoint("POST", path, switched=True).name, content["application/json"]["schema"]


def body(path: tuple[str, ...], value: Any) -> Any:
    """A request with `value` at `path`."""
    for name in reversed(path):
        value = {name: value}
    return value


def seen_in(endpoint: str, fields: Any) -> list[str]:
    seen: list[str] = []

    def note(text: str, role: str, escaped: bool) -> str:
        seen.append(text)
        return text

    visit_texts(endpoint, fields, note)
    return seen


@pytest.mark.parametrize(("endpoint", "schema"), list(requests()), ids=[name for name, _ in requests()])
def test_a_field_of_a_request_is_read_by_no_guard(endpoint: str, schema: Mapping[str, Any]) -> None:
    places = {".".join(path): path for path in leaves(schema) if path}
    unread = {name for name, path in places.items() if TEXT not in seen_in(endpoint, body(path, TEXT))}
    assert unread == UNREAD[endpoint]


@pytest.mark.parametrize("endpoint", UNREAD)
def test_a_field_that_vllm_does_not_know_is_read_by_no_guard(endpoint: str) -> None:
    for path in (("new_field",), ("messages", "new_field"), ("tools", "function", "new", "deep"), ("input", "x", "id")):
        assert TEXT in seen_in(endpoint, body(path, TEXT))
        assert TEXT in seen_in(endpoint, body(path[:-1], {TEXT: 1}) if path[1:] else {TEXT: TEXT})


@pytest.mark.parametrize(
    "name", ["documents", "metadata", "chat_template_kwargs", "tools.function.parameters", "tools.input_schema"]
)
def test_keys_and_numbers_and_words_of_what_the_client_chose_are_read_by_no_guard(name: str) -> None:
    chosen = {"reason": "completed", "role": "user", "status": "failed", "id": "a", "type": "text", "format": "wav"}
    path = tuple(name.split("."))
    seen = seen_in("messages" if "input" in name else "chat_completions", body(path, chosen | {"n": 4111111111111111}))
    assert {*chosen, *chosen.values(), "n", "4111111111111111"} <= set(seen)


def test_what_belongs_to_the_protocol_is_taken_for_a_text() -> None:
    part = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo=", "detail": "low"}}
    fields = {
        "model": "sql",
        "messages": [
            {"role": "system", "content": "one"},
            {"role": "user", "content": [{"type": "text", "text": "two"}, part]},
            {"role": "assistant", "tool_calls": [{"id": "three", "type": "function", "function": {"name": "four"}}]},
            {"role": "tool", "tool_call_id": "three", "content": "five"},
        ],
        "tools": [{"type": "function", "function": {"name": "six"}}],
        "tool_choice": "auto",
        "response_format": {"type": "json_object"},
        "stream_options": {"include_usage": True},
        "temperature": 0.5,
        "seed": 4111111111111111,
    }
    assert seen_in("chat_completions", fields) == ["one", "two", "three", "four", "three", "five", "six"]


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("messages.content.image_url.url", "data: my key"),
        ("messages.content.image_url.url", "data:image/png;base64,AAAA my key"),
        ("messages.content.image_url.url", "AKIAQ3EGRXH7Q3EGRXH7"),
        ("messages.content.image_url.detail", "AKIAQ3EGRXH7Q3EGRXH7"),
        ("messages.content.text", "data:image/png;base64,AAAA"),
        ("messages.content.input_audio.data", "my key"),
        ("messages.content.input_audio.format", "my key"),
        ("messages.role", "my key"),
        ("messages.content.type", "my key"),
    ],
)
def test_a_text_that_looks_like_a_file_or_stands_near_one_is_read_by_no_guard(place: str, value: str) -> None:
    assert seen_in("chat_completions", body(tuple(place.split(".")), value)) == [value]


def test_a_value_is_lost_where_two_keys_become_the_same() -> None:
    fields = {"metadata": {"a@b.example": 1, "c@d.example": 2, "[MAIL]": 3}}
    visit_texts("completions", fields, lambda text, role, escaped: "[MAIL]" if "@" in text else text)
    assert fields["metadata"] == {"[MAIL]": 1, "[MAIL] 2": 2, "[MAIL] 3": 3}


def test_a_texts_role_is_not_whose_it_is() -> None:
    roles: dict[str, str] = {}

    def note(text: str, role: str, escaped: bool) -> str:
        roles[text] = role
        return text

    result = {"type": "tool_result", "tool_use_id": "a", "content": [{"type": "text", "text": "of a tool"}]}
    fields: dict[str, Any] = {
        "system": "of the system",
        "messages": [{"role": "user", "content": [{"type": "text", "text": "of a user"}, result]}],
        "tools": [{"name": "of the application"}],
    }
    visit_texts("messages", fields, note)
    visit_texts("chat_completions", {"documents": [{"text": "of a document"}]}, note)
    visit_texts("responses", {"input": [{"type": "function_call_output", "output": "of another tool"}]}, note)
    assert {roles[f"of a {name}"] for name in ("tool", "user", "document")} == {"tool", "user", "document"}
    assert (roles["of the system"], roles["of the application"]) == ("system", "application")
    assert roles["of another tool"] == "tool"


def test_an_event_of_openais_has_a_type_that_is_taken_for_a_text() -> None:
    union = get_args(get_args(ResponseStreamEvent)[0])
    types = {get_args(event.model_fields["type"].annotation)[0] for event in union}
    ours = {name for name in types if "audio" not in name and "image" not in name and name != "error"}
    assert ours - WORDS["type"] == set()
