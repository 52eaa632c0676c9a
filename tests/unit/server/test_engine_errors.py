"""The engine's errors in OpenAI's shape."""

import json

import pytest

from adapters.errors import NotFinite
from server.engine_errors import rewrite_error, rewrite_event


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


@pytest.mark.parametrize("body", [{"detail": "Not Found"}, {"error": "plain"}])
def test_other_shapes_keep_their_message(body: dict[str, str]) -> None:
    assert rewritten(422, body)["message"] in ("Not Found", "plain")


@pytest.mark.parametrize("body", [b"", b"<html>", b"[1]", b"\xff\xfe", b'{"error": {"message": 3}}'])
def test_a_body_that_is_no_error_object_still_becomes_one(body: bytes) -> None:
    assert json.loads(rewrite_error(503, body))["error"]["message"] == "The engine answered with status 503."


def test_logits_that_are_not_finite_have_a_code_of_their_own_in_whole_answers_and_in_streams() -> None:
    body = {"error": {"message": NotFinite("sql@1").message, "type": "InternalServerError", "param": None, "code": 500}}
    assert rewritten(500, body)["code"] == "not_finite"
    event = rewrite_event(f"data: {json.dumps(body)}\n\ndata: [DONE]\n\n".encode())
    first, _, rest = event.partition(b"\n\n")
    assert json.loads(first.removeprefix(b"data: "))["error"]["code"] == "not_finite"
    assert rest == b"data: [DONE]\n\n"
