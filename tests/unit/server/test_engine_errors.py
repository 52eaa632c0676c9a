"""The engine's errors in OpenAI's shape."""

import json
from collections.abc import MutableMapping
from typing import Any

import pytest

from patchbay.core.error_events import Form
from patchbay.core.errors import NotFinite
from patchbay.server.engine_errors import EngineErrors, rewrite_error, rewrite_event


def rewritten(status: int, body: object) -> dict[str, object]:
    error = json.loads(rewrite_error(status, json.dumps(body).encode()))["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return dict(error)


def test_a_number_never_stands_where_openai_has_a_code() -> None:
    error = rewritten(
        400, {"error": {"message": "too long", "type": "BadRequestError", "param": "prompt", "code": 400}}
    )
    assert error == {"message": "too long", "type": "invalid_request_error", "param": "prompt", "code": None}


def test_a_server_fault_is_not_called_the_clients() -> None:
    assert rewritten(500, {"error": {"message": "boom", "code": 500}})["type"] == "server_error"


def test_what_the_client_wrote_is_not_printed_back_at_it() -> None:
    fault = "{'type': 'list_type', 'loc': 'body.messages', 'msg': 'Input should be a list', 'input': 'x'}"
    message = f"1 validation error:\n  {fault}"
    error = rewritten(400, {"error": {"message": message, "param": "body.messages", "code": 400}})
    assert error["message"] == "messages: Input should be a list"
    assert error["param"] == "messages"


@pytest.mark.parametrize(
    ("fault", "place", "shown"),
    [
        ("Input should be 'a', 'b' or 'c'", "body.effort", "effort: Input should be 'a', 'b' or 'c'"),
        ('the key "x" is not one', "body.x", 'x: the key "x" is not one'),
        ("both ' and \" in it", "body.y", "y: both ' and \" in it"),
        ("a line\nand a \\ in it", "body.it's", "it's: a line\nand a \\ in it"),
    ],
)
def test_a_message_is_not_cut_at_a_quote_within_it(fault: str, place: str, shown: str) -> None:
    printed = {"type": "literal_error", "loc": place, "msg": fault, "input": "secret"}
    message = f"1 validation error:\n  {printed}"
    assert rewritten(400, {"error": {"message": message, "code": 400}})["message"] == shown


def test_the_same_fault_of_many_branches_is_said_once_and_never_more_than_ten() -> None:
    faults = [{"loc": "body.a", "msg": "no"}] * 3 + [{"loc": f"body.{place}", "msg": "no"} for place in range(20)]
    message = "23 validation errors:\n" + "".join(f"  {fault}\n" for fault in faults)
    said = str(rewritten(400, {"error": {"message": message, "code": 400}})["message"])
    assert said.count("a: no") == 1
    assert said.count("; ") < 10


@pytest.mark.parametrize(
    ("status", "message", "code"),
    [
        (400, "This model's maximum context length is 64 tokens. However, your prompt", "context_length_exceeded"),
        (400, "Input length (9) exceeds model's maximum context length (8).", "context_length_exceeded"),
        (400, "The decoder prompt (length 9) is longer than the maximum model length", "context_length_exceeded"),
        (404, "Response with id 'resp_1' not found.", "previous_response_not_found"),
        (404, "The model `x` does not exist.", "model_not_found"),
        (404, "Not Found", None),
        (400, "temperature must be positive", None),
    ],
)
def test_a_code_is_the_one_that_openais_clients_know_and_never_another_faults(
    status: int, message: str, code: str | None
) -> None:
    assert rewritten(status, {"error": {"message": message, "code": status}})["code"] == code


@pytest.mark.parametrize("body", [{"detail": "Not Found"}, {"error": "plain"}])
def test_other_shapes_keep_their_message(body: dict[str, str]) -> None:
    assert rewritten(422, body)["message"] in ("Not Found", "plain")


@pytest.mark.parametrize("body", [b"", b"<html>", b"[1]", b"\xff\xfe", b'{"error": {"message": 3}}'])
def test_a_body_that_is_no_error_object_still_becomes_one(body: bytes) -> None:
    assert json.loads(rewrite_error(503, body))["error"]["message"] == "The engine answered with status 503."


def test_logits_that_are_not_finite_have_a_code_of_their_own_in_whole_answers_and_in_streams() -> None:
    body = {"error": {"message": NotFinite("sql@1").message, "type": "InternalServerError", "param": None, "code": 500}}
    assert rewritten(500, body)["code"] == "not_finite"
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


async def sent_for(*events: bytes, form: Form = "chat") -> tuple[list[dict[str, Any]], EngineErrors]:
    """The messages that a client gets for a stream with these events, and how it ended."""
    sent: list[dict[str, Any]] = []

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(dict(message))

    errors = EngineErrors(send, form)
    await errors({**HEAD, "headers": [(b"content-type", b"text/event-stream; charset=utf-8")]})
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
