"""What replicas tell of themselves has bounds: one that tells too much is not ready, and holds nothing up."""

import json

import pytest
from aiohttp import web

from patchbay.router.discovery.poller import MOST_MODELS
from patchbay.router.process.app import Router
from patchbay.router.upstream.client import Call, ReplicaClient
from patchbay.router.upstream.failure import ReplicaFailure
from tests.fakes.engine import FakeEngine, Script, revision
from tests.fakes.routers import running_router, until
from tests.integration.router.wire import client_of, post

pytestmark = pytest.mark.anyio


class Telling(FakeEngine):
    """A plain server that lists `told`: as it is, or without an end where that is None. `sent`: how much of that."""

    told: bytes | None = b""
    sent = 0

    async def _models(self, request: web.Request) -> web.Response:
        if self.told is not None:
            return web.Response(body=self.told, content_type="application/json")
        response = web.StreamResponse()
        await response.prepare(request)
        while request.transport is not None and not request.transport.is_closing():
            await response.write(b"x" * 65536)
            self.sent += 65536
        raise ConnectionResetError


def listed(*names: str) -> bytes:
    return json.dumps({"data": [{"id": name} for name in names]}).encode()


async def reason(router: Router, name: str) -> str | None:
    await until(lambda: router.fleet.get(name).reason != "not seen yet")
    return router.fleet.get(name).reason


@pytest.mark.parametrize(
    ("told", "why"),
    [
        (listed(*map(str, range(MOST_MODELS + 1))), "more than 2000 models"),
        (listed(*map(str, range(200_000))), "more than 2000 models"),
        (b'{"data": [' + b"[]," * 1_000_000 + b"[]]}", "more than 2000 models"),
        (listed("x" * 300), "a name of more than 256 characters"),
        (b"[" * 100_000, "no list of models"),
        (b'{"data": [{"id": "\xff"}]}', "no list of models"),
    ],
    ids=["one more", "many", "no models", "a long name", "deep", "no UTF-8"],
)
async def test_a_list_of_any_size_is_taken(told: bytes, why: str) -> None:
    bad, good = Telling("bad", plain=True), FakeEngine("good", plain=True)
    bad.told = told
    async with running_router(bad, good) as router:
        assert why in (await reason(router, "bad") or "")
        async with client_of(router) as client:
            assert len((await client.get("/v1/models")).content) < 1000
        assert (await post(router)).status_code == 200


async def test_the_most_models_that_may_be_are_not_taken() -> None:
    full = Telling("full", plain=True)
    full.told = listed(*(f"model-{number}" for number in range(MOST_MODELS)))
    async with running_router(full) as router:
        assert await reason(router, "full") is None
        assert len(router.fleet.view.table) == MOST_MODELS


async def test_a_list_without_an_end_fills_the_memory_until_the_poll_is_over() -> None:
    endless, good = Telling("endless", plain=True), FakeEngine("good", plain=True)
    endless.told = None
    async with running_router(endless, good, poll_timeout_s=30, poll_interval_unready_s=30) as router:
        assert "/v1/models is over 8388608 bytes" in (await reason(router, "endless") or "")
        assert endless.sent < 64 * 1024 * 1024
        assert (await post(router)).status_code == 200


async def test_a_status_of_any_size_is_taken() -> None:
    ours = FakeEngine(revisions=tuple(revision("sql", number) for number in range(1, 10_002)))
    async with running_router(ours) as router:
        assert "more than 10000 revisions" in (await reason(router, "replica-0") or "")


async def test_an_answer_to_the_router_itself_is_read_whatever_its_size() -> None:
    engine = FakeEngine()
    engine.script = Script(padding=10_000_000)
    async with engine.running_server(), ReplicaClient(engine.url, connect_timeout_s=5, read_timeout_s=5) as client:
        body = json.dumps({"model": "demo-base", "messages": []}).encode()
        headers = [(b"content-type", b"application/json"), (b"authorization", f"Bearer {engine.token}".encode())]
        with pytest.raises(ReplicaFailure, match="over 8388608 bytes"):
            await client.fetch(
                Call(method="POST", path="/v1/chat/completions", headers=headers, body=body), timeout_s=10
            )
        assert not client.busy
