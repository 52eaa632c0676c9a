"""Streams that are silent for long: they are kept open by comments, and nothing else of them is another."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anthropic
import httpx
import openai
import pytest

from patchbay.router.forward.heartbeats import Heartbeats
from patchbay.router.process.app import Router
from tests.fakes.engine import FakeEngine, Fault, Script
from tests.fakes.routers import running_router, until
from tests.integration.router.wire import CHAT, ask, client_of, error_of, events

pytestmark = pytest.mark.anyio
BEAT = b":\n\n"


class Listening:
    """A stream's client: what it has read so far, and what came of it."""

    def __init__(self) -> None:
        self.read = b""
        self.headers: httpx.Headers | None = None

    async def listen(self, router: Router, path: str, model: str | None) -> None:
        async with client_of(router) as client:
            body = {**ask(stream=True), "max_tokens": 3} | ({} if model is None else {"model": model})
            async with client.stream("POST", path, json=body) as response:
                self.headers = response.headers
                async for part in response.aiter_raw():
                    self.read += part


def beats_of(router: Router) -> Heartbeats:
    return Heartbeats(15, lambda: router.public_app.work)


def beat(beats: Heartbeats) -> None:
    for _ in range(4):
        beats.look()


@asynccontextmanager
async def listening(router: Router, path: str = CHAT, model: str | None = None) -> AsyncIterator[Listening]:
    client = Listening()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(client.listen(router, path, model))
        yield client


async def test_a_slow_first_token_is_waited_for_with_comments_and_the_answer_is_the_same() -> None:
    wait = asyncio.Event()
    fake = FakeEngine()
    fake.script = Script(wait=wait)
    async with running_router(fake) as router:
        beats = beats_of(router)
        async with listening(router) as client:
            await fake.request()
            beat(beats)
            await until(lambda: client.read == BEAT)
            beat(beats)
            await until(lambda: client.read == 2 * BEAT)
            wait.set()
    assert client.headers is not None
    assert client.headers["content-type"].startswith("text/event-stream")
    assert client.headers["x-request-id"]
    assert client.headers["x-patchbay-route"] == ask()["model"]
    assert client.headers["x-patchbay-arm"]
    assert "x-patchbay-replica" not in client.headers
    assert events(client.read.removeprefix(2 * BEAT).decode())[-1] == "[DONE]"


@pytest.mark.parametrize(("name", "told"), [("desk", None), ("alone", "alone")])
async def test_a_head_ahead_names_nobody_where_a_fallback_may_still_answer(name: str, told: str | None) -> None:
    wait = asyncio.Event()
    fake = FakeEngine()
    fake.script = Script(wait=wait)
    model = ask()["model"]
    routes = {"desk": {"model": model, "fallbacks": [model]}, "alone": {"model": model}}
    async with running_router(fake, routes=routes) as router, listening(router, model=name) as client:
        await fake.request()
        beat(beats_of(router))
        await until(lambda: client.read.startswith(BEAT))
        wait.set()
    assert client.headers is not None
    assert client.headers.get("x-patchbay-route") == told


async def test_a_stream_that_goes_on_gets_no_comments_and_one_that_stops_does() -> None:
    gate = asyncio.Semaphore(1)
    fake = FakeEngine()
    fake.script = Script(gate=gate)
    async with running_router(fake) as router:
        beats = beats_of(router)
        async with listening(router) as client:
            await until(lambda: client.read.endswith(b"\n\n"))
            beats.look()
            before = client.read
            gate.release()
            await until(lambda: len(client.read) > len(before))
            for _ in range(3):
                beats.look()
            assert BEAT not in client.read
            beats.look()
            await until(lambda: client.read.endswith(BEAT))
            for _ in range(9):
                gate.release()
    assert client.read.count(BEAT) == 1
    assert events(client.read.replace(BEAT, b"").decode())[-1] == "[DONE]"


@pytest.mark.parametrize(("path", "kind"), [(CHAT, b"data: "), ("/v1/messages", b"event: error\ndata: ")])
@pytest.mark.parametrize("fault", ["answer_400", "error_500"])
async def test_what_fails_after_a_comment_is_an_event_that_clients_read(path: str, kind: bytes, fault: Fault) -> None:
    wait = asyncio.Event()
    fake = FakeEngine()
    fake.script = Script(wait=wait, fault=fault)
    async with running_router(fake) as router:
        async with listening(router, path) as client:
            await fake.request()
            beat(beats_of(router))
            await until(lambda: client.read == BEAT)
            wait.set()
        assert router.public_app.in_flight == 0
    told = client.read.removeprefix(BEAT)
    assert told.startswith(kind)
    assert json.loads(told.removeprefix(kind))["error"]["message"]


async def test_another_replica_may_still_answer_after_a_comment() -> None:
    wait = asyncio.Event()
    fakes = FakeEngine("a"), FakeEngine("b")
    for fake in fakes:
        fake.script = Script(wait=wait)
    async with running_router(*fakes) as router, listening(router) as client:
        await until(lambda: any(fake.seen for fake in fakes))
        beat(beats_of(router))
        await until(lambda: client.read == BEAT)
        next(fake for fake in fakes if fake.seen).script = Script(fault="reset")
        wait.set()
    assert all(fake.seen for fake in fakes)
    assert events(client.read.removeprefix(BEAT).decode())[-1] == "[DONE]"


async def test_what_is_no_stream_gets_no_comments() -> None:
    wait = asyncio.Event()
    fake = FakeEngine()
    fake.script = Script(wait=wait)
    async with running_router(fake) as router, client_of(router) as client:
        answer = asyncio.create_task(client.post(CHAT, json=ask()))
        await fake.request()
        beat(beats_of(router))
        wait.set()
        assert (await answer).json()["choices"]


async def test_openais_and_anthropics_clients_read_over_comments() -> None:
    wait = asyncio.Event()
    fake = FakeEngine()
    fake.script = Script(wait=wait)
    async with running_router(fake) as router:
        beats = beats_of(router)
        async with openai.AsyncOpenAI(base_url=f"{router.url}/v1", api_key="k") as client:
            asked = asyncio.create_task(
                client.chat.completions.create(
                    model="demo-base", messages=[{"role": "user", "content": "a"}], stream=True
                )
            )
            await fake.request()
            beat(beats)
            stream = await asked
            wait.set()
            assert [chunk.choices[0].delta.content async for chunk in stream]
        fake.script = Script(wait=(slow := asyncio.Event()), fault="answer_400")
        async with anthropic.AsyncAnthropic(base_url=router.url, api_key="k") as other:
            told = asyncio.create_task(
                other.messages.create(
                    model="demo-base", max_tokens=3, messages=[{"role": "user", "content": "a"}], stream=True
                )
            )
            await fake.request(1)
            beat(beats)
            messages = await told
            slow.set()
            with pytest.raises(anthropic.APIStatusError, match="fake trouble"):
                [event async for event in messages]


async def test_a_router_sends_them_by_itself() -> None:
    wait = asyncio.Event()
    fake = FakeEngine()
    fake.script = Script(wait=wait)
    async with running_router(fake, stream={"heartbeat_s": 0.01}) as router, listening(router) as client:
        await until(lambda: client.read.count(BEAT) > 2)
        wait.set()


@pytest.mark.parametrize(
    ("fault", "body", "kind", "status", "message"),
    [
        ("answer_422", b'{"detail": [{"loc": ["body", "n"], "msg": "no"}]}', "application/json", 422, "n: no"),
        ("answer_400", b'{"object": "error", "message": "bad", "code": 400}', "application/json", 400, "bad"),
        ("answer_404", b"<html>nginx</html>", "text/html", 404, "The engine answered with status 404."),
        ("answer_307", b"", "text/html", 502, "The engine answered with status 502."),
    ],
)
async def test_a_plain_servers_error_has_openais_shape(
    fault: Fault, body: bytes, kind: str, status: int, message: str
) -> None:
    fake = FakeEngine("p", base="stock", plain=True, token=None)
    fake.script = Script(fault=fault, body=body, kind=kind)
    async with running_router(fake) as router, client_of(router) as client:
        answer = await client.post(CHAT, json=ask("stock"))
    assert (answer.status_code, error_of(answer)["message"]) == (status, message)
    assert answer.headers["content-type"] == "application/json"
