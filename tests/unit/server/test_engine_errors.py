"""The engine's errors in OpenAI's shape."""

import json
from collections.abc import MutableMapping
from typing import Any

import pytest

from patchbay.core.error_events import Form
from patchbay.core.errors import NotFinite
from patchbay.core.foreign_errors import rewrite_error
from patchbay.server.engine_errors import EngineErrors, rewrite_event


def test_logits_that_are_not_finite_have_a_code_of_their_own_in_whole_answers_and_in_streams() -> None:
    body = {"error": {"message": NotFinite("sql@1").message, "type": "InternalServerError", "param": None, "code": 500}}
    assert json.loads(rewrite_error(500, json.dumps(body).encode()))["error"]["code"] == "not_finite"
    event = rewrite_event(f"data: {json.dumps(body)}\n\ndata: [DONE]\n\n".encode(), "chat")
    first, _, rest = event.partition(b"\n\n")
    assert json.loads(first.removeprefix(b"data: "))["error"]["code"] == "not_finite"
    assert rest == b"data: [DONE]\n\n"


HEAD: dict[str, object] = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"text/event-stream; charset=utf-8")],
}
FAULT = {"error": {"message": "token_id 99 is out of vocab", "type": "BadRequestError", "param": None, "code": 400}}


async def sent_for(
    *events: bytes, form: Form = "chat", status: int = 200, dead: bool = False
) -> tuple[list[dict[str, Any]], EngineErrors]:
    """The messages that a client gets for a stream with these events, and how it ended."""
    sent: list[dict[str, Any]] = []

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(dict(message))

    errors = EngineErrors(send, form, lambda: dead)
    await errors({**HEAD, "status": status, "headers": [(b"content-type", b"text/event-stream; charset=utf-8")]})
    for event in events:
        await errors({"type": "http.response.body", "body": event, "more_body": True})
    await errors({"type": "http.response.body", "body": b"", "more_body": False})
    return sent, errors


@pytest.mark.anyio
async def test_a_clients_fault_that_is_found_before_the_first_event_of_a_stream_is_a_400() -> None:
    sent, errors = await sent_for(f"data: {json.dumps(FAULT)}\n\n".encode(), b"data: [DONE]\n\n")
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert sent[0]["status"] == 400
    assert (b"content-type", b"application/json") in sent[0]["headers"]
    assert json.loads(sent[1]["body"])["error"]["type"] == "invalid_request_error"
    assert errors.outcome == "client_error"


@pytest.mark.anyio
async def test_a_streams_head_goes_out_with_its_first_event() -> None:
    sent, errors = await sent_for(b"data: {}\n\n", b"data: [DONE]\n\n")
    assert [message.get("body") for message in sent] == [None, b"data: {}\n\n", b"data: [DONE]\n\n", b""]
    assert errors.outcome == "ok"


@pytest.mark.anyio
async def test_a_clients_fault_amid_a_stream_is_not_called_the_servers() -> None:
    sent, errors = await sent_for(b"data: {}\n\n", f"data: {json.dumps(FAULT)}\n\n".encode())
    assert json.loads(sent[2]["body"].removeprefix(b"data: "))["error"]["type"] == "invalid_request_error"
    assert errors.outcome == "ok"


@pytest.mark.anyio
async def test_a_stream_without_any_event_still_has_a_head() -> None:
    sent, _ = await sent_for()
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]


@pytest.mark.anyio
async def test_a_late_error_has_the_form_of_its_endpoint_and_counts_as_a_failure() -> None:
    fault = f"data: {json.dumps({'error': {'message': NotFinite('sql@1').message, 'code': 500}})}\n\n".encode()
    sent, errors = await sent_for(b'data: {"sequence_number":7}\n\n', fault, form="responses")
    told = json.loads(sent[2]["body"].partition(b"data: ")[2])
    assert (told["type"], told["code"], told["sequence_number"]) == ("error", "not_finite", 8)
    assert errors.outcome == "server_error"
    sent, errors = await sent_for(b"event: message_start\ndata: {}\n\n", fault, form="messages")
    assert sent[2]["body"].startswith(b"event: error\ndata: ")
    assert json.loads(sent[2]["body"].partition(b"data: ")[2])["error"]["message"] == NotFinite("sql@1").message
    assert errors.outcome == "server_error"


DEATH = (
    b'data: {"error": {"message": "EngineCore encountered an issue.", "type": "InternalServerError", "code": 500}}\n\n'
)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("status", "events", "bodies"),
    [
        (500, (b'{"error": {"code": 500}}',), []),
        (200, (DEATH, b"data: [DONE]\n\n"), []),
        (200, (b"data: {}\n\n", DEATH, b"data: [DONE]\n\n"), [b"data: {}\n\n"]),
    ],
)
async def test_an_answer_of_an_engine_that_has_died_is_broken_off_and_no_error_of_its_own(
    status: int, events: tuple[bytes, ...], bodies: list[bytes]
) -> None:
    """A server closes the connection of an answer that has begun and is not whole: a router asks another replica."""
    sent, errors = await sent_for(*events, status=status, dead=True)
    assert [message["type"] for message in sent] == ["http.response.start", *["http.response.body"] * len(bodies)]
    assert sent[0]["status"] == 200
    assert [message["body"] for message in sent[1:]] == bodies
    assert errors.outcome == "server_error"
    alive, _ = await sent_for(*events, status=status)
    assert not alive[-1].get("more_body", False)
