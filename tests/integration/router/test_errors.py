import asyncio
import contextlib
from collections.abc import AsyncIterator

import httpx
import pytest

from tests.fakes.engine import FakeEngine
from tests.fakes.routers import running_router, until
from tests.integration.router.wire import CHAT, ask, client_of, error_of, post

pytestmark = pytest.mark.anyio

POST = b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"{", None),
        (b"[]", None),
        (b"{}", "model"),
        (b'{"model": 7}', "model"),
        (b'{"model": "demo-base", "stream": "yes"}', "stream"),
    ],
)
async def test_a_bad_body_is_a_400_in_openais_shape(body: bytes, param: str | None) -> None:
    fake = FakeEngine()
    async with running_router(fake) as router, client_of(router) as client:
        response = await client.post(CHAT, content=body)
    assert response.status_code == 400
    error = error_of(response)
    assert (error["type"], error["param"]) == ("invalid_request_error", param)
    assert not fake.seen


async def test_an_unknown_model_is_openais_404() -> None:
    async with running_router(FakeEngine()) as router:
        response = await post(router, ask("nope"))
    assert response.status_code == 404
    assert error_of(response) == {
        "message": "The model 'nope' does not exist or you do not have access to it.",
        "type": "invalid_request_error",
        "param": "model",
        "code": "model_not_found",
    }


@pytest.mark.parametrize("path", ["/v1/nope", "/internal/status", "/metrics", "/admin/v1/replicas", "/docs"])
async def test_what_is_not_public_is_not_found_on_the_public_port(path: str) -> None:
    async with running_router(FakeEngine()) as router, client_of(router) as client:
        response = await client.get(path)
    assert response.status_code == 404
    assert error_of(response)["code"] == "not_found"


@pytest.mark.parametrize(
    ("method", "path", "allow"), [("GET", CHAT, "POST"), ("OPTIONS", CHAT, "POST"), ("POST", "/v1/models", "GET, HEAD")]
)
async def test_a_wrong_method_is_told_the_right_ones(method: str, path: str, allow: str) -> None:
    async with running_router(FakeEngine()) as router, client_of(router) as client:
        response = await client.request(method, path)
    assert response.status_code == 405
    assert response.headers["allow"] == allow
    assert error_of(response)["code"] == "method_not_allowed"


async def test_a_body_over_the_limit_is_a_413() -> None:
    fake = FakeEngine()
    async with running_router(fake, max_body_bytes=2000) as router:
        response = await post(router, ask(padding="x" * 2000))
        fits = await post(router, ask(padding="x" * 1000))
    assert response.status_code == 413
    assert error_of(response)["code"] == "request_too_large"
    assert fits.status_code == 200
    assert len(fake.seen) == 1


class Chunks:
    """A body of unknown length; counts the chunks that were asked for."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.made = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while self.made < self.count:
            self.made += 1
            yield b"x" * 50_000


async def test_a_chunked_body_without_a_length_is_a_413_at_the_limit() -> None:
    async with running_router(FakeEngine(), max_body_bytes=50_000) as router, client_of(router) as client:
        response = await client.post(CHAT, content=Chunks(40))
        again = await client.post(CHAT, json=ask())
    assert response.status_code == 413
    assert error_of(response)["code"] == "request_too_large"
    assert again.status_code == 200


async def test_a_body_that_never_ends_is_cut_off() -> None:
    body = Chunks(10_000)
    async with running_router(FakeEngine(), max_body_bytes=50_000) as router, client_of(router) as client:
        with contextlib.suppress(httpx.TransportError):
            await client.post(CHAT, content=body)
        await until(lambda: router.public_app.in_flight == 0)
    assert body.made < 2_000


@pytest.mark.parametrize("authorization", [None, "Bearer wrong", "Basic sk-1", ""])
@pytest.mark.parametrize("path", [CHAT, "/v1/models", "/v1/models/demo-base", "/v1/nope"])
async def test_without_a_right_key_nothing_under_v1_answers(path: str, authorization: str | None) -> None:
    headers = {} if authorization is None else {"authorization": authorization}
    async with running_router(FakeEngine(), api_keys=["sk-1"]) as router, client_of(router, **headers) as client:
        response = await client.request("POST" if path == CHAT else "GET", path)
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"
    assert error_of(response)["code"] == "invalid_api_key"


async def test_with_a_right_key_it_answers_and_health_needs_none() -> None:
    async with running_router(FakeEngine(), api_keys=["sk-1", "sk-2"]) as router, client_of(router) as client:
        for path in ("/healthz", "/health"):
            assert (await client.get(path)).status_code == 200
        assert (await client.get("/v1/models", headers={"authorization": "Bearer sk-2"})).status_code == 200


@pytest.mark.parametrize("last", [b"connection: close\r\n", b""])
async def test_an_answer_without_a_body_is_sent_too(last: bytes) -> None:
    async with running_router(FakeEngine()) as router:
        url = httpx.URL(router.url)
        reader, writer = await asyncio.open_connection(url.host, url.port)
        writer.write(b"HEAD /healthz HTTP/1.1\r\nhost: localhost\r\n" + last + b"\r\n")
        async with asyncio.timeout(2):
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK\r\n")
        writer.close()


async def test_every_error_carries_the_request_id() -> None:
    async with running_router(FakeEngine()) as router:
        response = await post(router, ask("nope"), **{"x-request-id": "mine"})
    assert response.headers["x-request-id"] == "mine"


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"garbage\r\n\r\n",
        POST + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        POST + b"content-length: 5\r\ncontent-length: 6\r\n\r\nabcdef",
        POST + b"transfer-encoding: chunked\r\n\r\nzz\r\n",
        b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nx: " + b"a" * 70_000 + b"\r\n\r\n",
        b"CONNECT x:80 HTTP/1.1\r\nhost: localhost\r\n\r\n",
    ],
)
async def test_what_is_no_sound_http_is_a_400_in_openais_shape_and_the_end_of_its_connection(
    request_bytes: bytes,
) -> None:
    fake = FakeEngine()
    async with running_router(fake) as router:
        url = httpx.URL(router.url)
        reader, writer = await asyncio.open_connection(url.host, url.port)
        writer.write(request_bytes)
        async with asyncio.timeout(2):
            answer = await reader.read()
        writer.close()
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b'"type": "invalid_request_error"' in answer
    assert not fake.seen
