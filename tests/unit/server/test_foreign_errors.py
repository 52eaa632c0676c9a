"""Other servers' errors, in OpenAI's shape and in Anthropic's."""

import json

import pytest

from patchbay.core.foreign_errors import rewrite_error


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


@pytest.mark.parametrize(
    ("body", "message", "param"),
    [
        ({"object": "error", "message": "no", "type": "BadRequestError", "param": None, "code": 400}, "no", None),
        ({"error": "Input validation error", "error_type": "validation"}, "Input validation error", None),
        (
            {"detail": [{"loc": ["body", "messages", 0, "role"], "msg": "Field required", "input": {"k": "secret"}}]},
            "messages.0.role: Field required",
            "messages.0.role",
        ),
        ({"detail": []}, "The engine answered with status 422.", ""),
        ({"detail": ["odd", {"loc": 3, "msg": "x"}]}, ": x", ""),
        (
            {
                "message": "1 validation error for Chat\nn\n  Input should be 1 [type=literal_error, "
                "input_value='secret]', input_type=str]\n    For further information visit https://errors.pydantic.dev/2/v/x"
            },
            "1 validation error for Chat\nn\n  Input should be 1",
            None,
        ),
    ],
)
def test_every_servers_shape_is_read_and_no_clients_input_is_in_it(
    body: dict[str, object], message: str, param: str | None
) -> None:
    error = rewritten(422, body)
    assert (error["message"], error["param"] or None) == (message, param or None)
