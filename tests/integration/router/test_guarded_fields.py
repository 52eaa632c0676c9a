"""Guards in a router, and every place of a request and an answer that a text may stand in."""

import json
from typing import Any

import pytest

from tests.fakes.engine import FakeEngine, Script, revision
from tests.fakes.routers import running_router
from tests.integration.router.wire import ask, events, post

pytestmark = pytest.mark.anyio
KEY = "AKIA" + "Q3EGRXH7" * 2
GUARDS = {"keys": {"kind": "rules", "sets": ["secrets"], "action": "redact"}}
CALL = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
TOOL = {"name": "f", "description": f"use {KEY}", "parameters": {"type": "object", "properties": {}}}
CHATS: dict[str, dict[str, Any]] = {
    "a text like a data URL": {"messages": [{"role": "user", "content": f"data: my key {KEY}"}]},
    "a message's name": {"messages": [{"role": "user", "name": KEY, "content": "hi"}]},
    "a message's role": {"messages": [{"role": KEY, "content": "hi"}]},
    "documents": {"documents": [{"text": f"key {KEY}"}]},
    "a key of a document": {"documents": [{KEY: "x"}]},
    "a tool": {"tools": [{"type": "function", "function": TOOL}]},
    "the template's arguments": {"chat_template_kwargs": {"x": {"type": KEY}}},
    "the user": {"user": KEY},
    "metadata": {"metadata": {"a": KEY}},
    "a key of metadata": {"metadata": {KEY: "a"}},
    "a word to stop at": {"stop": [f"key {KEY}"]},
    "a call's id": {"messages": [{"role": "assistant", "tool_calls": [CALL | {"id": KEY}]}]},
}
RESULT = {"type": "tool_result", "tool_use_id": "t1", "content": "ok"}


@pytest.mark.parametrize("place", CHATS)
async def test_a_chat_has_a_place_that_no_guard_reads(place: str) -> None:
    fake = FakeEngine("replica-0", revisions=(revision("sql"),))
    async with running_router(fake, guards=GUARDS, guard_all=["keys"]) as router:
        answer = await post(router, ask("sql") | CHATS[place])
    assert "SECRET" in answer.headers["x-patchbay-guards"]
    assert KEY not in json.dumps([seen.json for seen in fake.seen])


@pytest.mark.parametrize("name", ["name", "id", "reason", "status", "model", "type", "format", "signature", KEY])
async def test_a_tools_input_has_a_name_whose_text_no_guard_reads(name: str) -> None:
    fake = FakeEngine("replica-0", revisions=(revision("sql"),))
    used = {"type": "tool_use", "id": "t1", "name": "f", "input": {name: KEY, "n": 1}}
    turns = [("user", "hi"), ("assistant", [used]), ("user", [RESULT])]
    body = {"model": "sql", "max_tokens": 9, "messages": [{"role": role, "content": text} for role, text in turns]}
    async with running_router(fake, guards=GUARDS, guard_all=["keys"]) as router:
        await post(router, body, "/v1/messages")
    (seen,) = fake.seen
    assert KEY not in json.dumps(seen.json)
    assert seen.json["messages"][1]["content"][0]["input"]["n"] == 1


@pytest.mark.parametrize("body", [{"error": {"message": KEY, "type": KEY, "x": [{KEY: 1}]}}, {"detail": f"a {KEY}"}])
@pytest.mark.parametrize("stream", [False, True])
async def test_an_error_quotes_what_a_guard_would_not_let_through(body: dict[str, Any], stream: bool) -> None:
    fake = FakeEngine("replica-0", revisions=(revision("sql"),))
    fake.script = Script(body=json.dumps(body).encode(), kind="application/json", fault="answer_400")
    async with running_router(fake, guards=GUARDS, guard_all=["keys"]) as router:
        answer = await post(router, ask("sql", stream=stream))
    assert answer.status_code == 400
    assert KEY not in answer.text
    assert "SECRET" in answer.text
    assert "SECRET" in answer.headers["x-patchbay-guards"]


async def test_an_error_that_is_blocked_goes_out_or_loses_its_status() -> None:
    fake = FakeEngine("replica-0", revisions=(revision("sql"),))
    fake.script = Script(
        body=json.dumps({"error": {"message": f"no {KEY}"}}).encode(), kind="application/json", fault="answer_400"
    )
    blocking = {"keys": GUARDS["keys"] | {"action": "block"}}
    async with running_router(fake, guards=blocking, guard_all=["keys"]) as router:
        answer = await post(router, ask("sql"))
    assert answer.status_code == 400
    assert answer.json()["error"]["message"] == "The engine answered with status 400."
    assert "output block" in answer.headers["x-patchbay-guards"]


async def test_an_error_without_findings_is_changed() -> None:
    fake = FakeEngine("replica-0", revisions=(revision("sql"),))
    body = b'{"error":{"message":"no","type":"invalid_request_error","param":"n","code":"own_code"}}'
    fake.script = Script(body=body, kind="application/json", fault="answer_422")
    async with running_router(fake, guards=GUARDS, guard_all=["keys"]) as router:
        answer = await post(router, ask("sql"))
    assert (answer.status_code, answer.json()) == (422, json.loads(body))
    assert "x-patchbay-guards" not in answer.headers


def sse(*values: Any) -> bytes:
    return b"".join(b"data: " + json.dumps(value).encode() + b"\n\n" for value in values)


def message_events(*blocks: Any) -> list[bytes]:
    return [sse({"type": "message_start", "message": {"id": "m", "role": "assistant", "content": []}}, *blocks)]


BEGUN = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": KEY[:9]}}
WENT_ON = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": KEY[9:] + " end"}}
OTHER = {**WENT_ON, "note": KEY, "delta": {"type": "text_delta", "text": "hello ", "note": KEY}}
USED = {
    "type": "content_block_start",
    "index": 0,
    "content_block": {"type": "tool_use", "id": "t", "input": {"id": KEY}},
}
STOPPED = ({"type": "content_block_stop", "index": 0}, {"type": "message_stop"})


@pytest.mark.parametrize("told", [(BEGUN, WENT_ON), (OTHER,), (USED,), (USED | {"note": {"a": KEY}},)], ids=str)
async def test_a_stream_of_messages_has_a_place_that_no_guard_reads(told: tuple[Any, ...]) -> None:
    fake = FakeEngine("replica-0", revisions=(revision("sql"),))
    fake.script = Script(raw=message_events(*told, *STOPPED))
    body = {"model": "sql", "max_tokens": 9, "stream": True, "messages": [{"role": "user", "content": "hi"}]}
    async with running_router(fake, guards=GUARDS, guard_all=["keys"]) as router:
        answer = await post(router, body, "/v1/messages")
    assert KEY[:9] not in answer.text
    assert KEY[9:] not in answer.text
    assert '"message_stop"' in answer.text
    assert "[SECRET]" in answer.text


async def test_a_chunk_has_a_place_that_no_guard_reads() -> None:
    fake = FakeEngine("replica-0", revisions=(revision("sql"),))
    call = {"index": 0, "id": KEY, "type": "function", "function": {"name": KEY, "arguments": ""}}
    choice = {"index": 0, "delta": {"role": KEY, "tool_calls": [call]}, "finish_reason": KEY, "stop_reason": KEY}
    chunk = {"id": "c", "object": "chat.completion.chunk", "note": KEY, "usage": {"note": KEY}, "choices": [choice]}
    error = {"error": {"message": f"cannot {KEY}", "type": KEY}}
    fake.script = Script(raw=[sse(chunk, error), b"event: error\nid: " + KEY.encode() + b"\nretry: 5\ndata: {}\n\n"])
    async with running_router(fake, guards=GUARDS, guard_all=["keys"]) as router:
        answer = await post(router, ask("sql", stream=True))
    assert KEY not in answer.text
    assert len(events(answer.text)) >= 2
