"""What is answered when an application fails after its answer has begun."""

import json
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.testclient import TestClient

from patchbay.server.late_errors import LateErrors


class Wrong(Exception):
    """A client's fault, which the application knows how to answer while it can."""


def client(events: int, path: str = "/v1/responses", error: Exception | None = None) -> TestClient:
    app = FastAPI()

    @app.exception_handler(Wrong)
    async def answer(_request: Any, _error: Wrong) -> JSONResponse:
        return JSONResponse({}, 400)

    async def stream() -> Any:
        for number in range(events):
            yield f"data: {number}\n\n"
        if error is not None:
            raise error

    @app.post(path)
    async def respond() -> StreamingResponse:
        return StreamingResponse(stream(), media_type="text/event-stream")

    return TestClient(LateErrors(app, lambda cause: (400, str(cause))))


def test_an_error_before_the_engine_has_answered_is_a_status_and_not_a_cut_stream() -> None:
    answer = client(2, error=Wrong("top_p is 7")).post("/v1/responses")
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["error"]["message"] == "top_p is 7"
    assert answer.json()["error"]["type"] == "invalid_request_error"


def test_an_error_amid_a_stream_is_its_last_event() -> None:
    answer = client(5, error=Wrong("odd")).post("/v1/responses")
    assert answer.status_code == 200
    *events, last, rest = answer.text.split("\n\n")
    assert (events, rest) == ([f"data: {number}" for number in range(5)], "")
    assert json.loads(last.removeprefix("data: ")) == {"error": {"message": "odd", "code": 400}}


@pytest.mark.parametrize("path", ["/v1/responses", "/v1/chat/completions"])
@pytest.mark.parametrize("events", [0, 1, 2, 3, 9])
def test_a_stream_that_goes_well_is_whole_however_short(path: str, events: int) -> None:
    answer = client(events, path).post(path)
    assert answer.status_code == 200
    assert answer.text == "".join(f"data: {number}\n\n" for number in range(events))


def test_what_nobody_knows_how_to_answer_still_ends_the_connection() -> None:
    with pytest.raises(ZeroDivisionError):
        client(1, error=ZeroDivisionError()).post("/v1/responses")
