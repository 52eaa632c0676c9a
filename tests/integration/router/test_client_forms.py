"""The forms in which clients send what they ask: compressed bodies, Azure's addresses and keys, a slash too many."""

import asyncio
import gzip
import json
import random
import zlib

import brotli
import httpx
import openai
import pytest
import zstandard

from tests.fakes.engine import FakeEngine
from tests.fakes.routers import running_router, until
from tests.integration.router.wire import CHAT, ask, client_of, error_of

pytestmark = pytest.mark.anyio
KEY = "k" * 32
PACKERS = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstandard.ZstdCompressor().compress,
}
NOISE = random.Random(1).randbytes(300_000)  # noqa: S311 - no secret
BODY = json.dumps(ask(user="u" * 500_000)).encode()


@pytest.mark.parametrize("encoding", list(PACKERS))
async def test_a_compressed_body_is_answered_and_reaches_the_replica_as_plain_json(encoding: str) -> None:
    fake = FakeEngine()
    async with running_router(fake) as router, client_of(router) as client:
        packed = PACKERS[encoding](BODY)
        answer = await client.post(CHAT, content=packed, headers={"content-encoding": encoding})
        assert answer.status_code == 200
        shared = router._public._shared  # noqa: SLF001 - nobody else has a reason to ask what is held
        await until(lambda: shared.bodies.held_bytes == 0)
    assert fake.seen[-1].json["user"] == "u" * 500_000
    assert "content-encoding" not in fake.seen[-1].headers


@pytest.mark.parametrize(
    ("encoding", "body", "status", "code"),
    [
        ("lzma", b"x", 415, "unsupported_content_encoding"),
        ("gzip", b"not gzip", 400, None),
        ("gzip", gzip.compress(BODY)[:-9], 400, None),
        ("gzip", gzip.compress(b" " * 40_000_000), 400, None),
        ("zstd", zstandard.ZstdCompressor().compress(NOISE * 40), 413, None),
    ],
)
async def test_a_body_that_cannot_be_unpacked_is_refused_and_nothing_of_it_stays(
    encoding: str, body: bytes, status: int, code: str | None
) -> None:
    fake = FakeEngine()
    async with running_router(fake) as router, client_of(router) as client:
        answer = await client.post(CHAT, content=body, headers={"content-encoding": encoding})
        assert answer.status_code == status
        if code is not None:
            assert (error_of(answer)["code"], answer.headers["accept-encoding"]) == (code, "gzip, deflate, br, zstd")
        shared = router._public._shared  # noqa: SLF001 - as above
        await until(lambda: shared.bodies.held_bytes == 0)
    assert not fake.seen


async def test_azures_client_works_as_it_is_and_its_deployment_is_the_model() -> None:
    fake = FakeEngine()
    async with running_router(fake, api_keys=(KEY,)) as router:
        client = openai.AsyncAzureOpenAI(azure_endpoint=router.url, api_key=KEY, api_version="2024-10-21")
        async with client:
            answer = await client.chat.completions.create(
                model="demo-base", messages=[{"role": "user", "content": "hi"}]
            )
            assert answer.choices[0].message.content
        fixed = openai.AsyncAzureOpenAI(
            azure_endpoint=router.url, azure_deployment="demo-base", api_key=KEY, api_version="2024-10-21"
        )
        async with fixed:
            stream = await fixed.chat.completions.create(
                model="gpt-4", messages=[{"role": "user", "content": "hi"}], stream=True
            )
            assert [chunk async for chunk in stream]
    assert [seen.json["model"] for seen in fake.seen] == ["demo-base", "demo-base"]
    assert all("api-key" not in seen.headers and "api-version" not in seen.path for seen in fake.seen)


async def test_a_deployment_that_is_not_there_is_the_model_that_is_not_there() -> None:
    async with running_router(FakeEngine()) as router, client_of(router) as client:
        answer = await client.post("/openai/deployments/nope/chat/completions?api-version=1", json=ask())
    assert (answer.status_code, error_of(answer)["code"]) == (404, "model_not_found")


@pytest.mark.parametrize("path", ["//v1/chat/completions", f"{CHAT}/", f"/v1{CHAT}"])
async def test_a_slash_or_a_version_too_many_is_answered(path: str) -> None:
    fake = FakeEngine()
    async with running_router(fake) as router, httpx.AsyncClient(timeout=10) as client:
        answer = await client.post(f"{router.url}{path}", json=ask())
    assert answer.status_code == 200
    assert fake.seen[-1].path == CHAT


@pytest.mark.parametrize(("authority", "status"), [("localhost", b"200"), ("evil.example", b"403")])
async def test_an_absolute_address_is_read_and_its_host_is_the_one_that_counts(authority: str, status: bytes) -> None:
    async with running_router(FakeEngine()) as router:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(router.url.rpartition(":")[2]))
        writer.write(f"GET http://{authority}/v1/models HTTP/1.1\r\nhost: localhost\r\n\r\n".encode())
        assert (await reader.readline()).split()[1] == status
        writer.close()


async def test_anthropics_clients_find_the_id_that_they_show_with_an_error_and_others_do_not() -> None:
    async with running_router(FakeEngine()) as router, client_of(router) as client:
        message = await client.post("/v1/messages", json={**ask("nope"), "max_tokens": 1})
        chat = await client.post(CHAT, json=ask())
    assert message.status_code == 404
    assert message.headers["request-id"] == message.headers["x-request-id"]
    assert "request-id" not in chat.headers


async def test_models_tell_how_much_they_hold_where_the_replica_does() -> None:
    plain = FakeEngine("b", base="stock", plain=True, token=None)
    async with running_router(FakeEngine(), plain) as router, client_of(router) as client:
        listed = {entry["id"]: entry.get("max_model_len") for entry in (await client.get("/v1/models")).json()["data"]}
    assert listed == {"demo-base": 4096, "stock": 4096}


@pytest.mark.parametrize(("path", "key"), [("/", "endpoints"), ("/openapi.json", "paths")])
async def test_where_things_are_is_told_to_anybody_who_asks_by_the_right_name(path: str, key: str) -> None:
    async with running_router(FakeEngine(), api_keys=(KEY,)) as router, client_of(router) as client:
        answer = await client.get(path)
        rebound = await client.get(path, headers={"host": "evil.example"})
    assert (answer.status_code, key in answer.json()) == (200, True)
    assert "demo-base" not in answer.text
    assert rebound.status_code == 403
