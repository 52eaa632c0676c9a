"""All goes wrong at once, over loopback: what clients see is whole and theirs, or an error; and nothing is left."""

import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import psutil
import pytest
from pydantic import SecretStr

from patchbay.router.process.app import Router
from patchbay.router.settings.config import ReplicaConfig
from tests.fakes.cutter import Cutter
from tests.fakes.engine import TOKEN, FakeEngine, revision
from tests.fakes.routers import running_router, until
from tests.integration.router.wire import CHAT, NO_TLS, ask, events

pytestmark = pytest.mark.anyio
CHUNKS = 12
ADAPTERS = tuple(f"a{number}" for number in range(8))
REQUESTS = 400


@asynccontextmanager
async def troubled(seed: int) -> AsyncIterator[tuple[Router, list[FakeEngine]]]:
    """A router whose ways to three replicas are slow, are cut at any byte, swallow all, or end halfway, by chance."""
    rng = random.Random(seed)  # noqa: S311
    fakes = [FakeEngine(f"e{n}", revisions=tuple(revision(name) for name in ADAPTERS)) for n in range(3)]
    for fake in fakes:
        fake.script.chunks, fake.script.delay_s = CHUNKS, 0.005
    async with (
        fakes[0].running_server(),
        fakes[1].running_server(),
        fakes[2].running_server(),
        Cutter(fakes[0].port, rng).running() as one,
        Cutter(fakes[1].port, rng).running() as two,
        Cutter(fakes[2].port, rng).running() as three,
    ):
        ways = (one, two, three)
        replicas = tuple(
            ReplicaConfig(url=way.url, name=fake.name, token=SecretStr(TOKEN))
            for way, fake in zip(ways, fakes, strict=True)
        )
        settings = {"read_timeout_s": 1, "breaker": {"open_s": 0.1, "max_open_s": 0.5}, "poll_timeout_s": 1}
        async with running_router(replicas=replicas, **settings) as router:
            for way in ways:
                way.troubled = True
            yield router, fakes


async def one_client(router: Router, number: int, seen: Counter[str]) -> None:
    """One request of many kinds: whole, streamed, left early, or sent by halves."""
    rng, model = random.Random(number), ADAPTERS[number % len(ADAPTERS)]  # noqa: S311
    # Each asks something of its own: what many ask, and replicas seem to die of, is held off as one kind.
    said = [{"role": "user", "content": f"question {number}"}]
    async with httpx.AsyncClient(base_url=router.url, timeout=30, verify=NO_TLS) as client:
        kind = rng.choice(["whole", "stream", "stream", "stream", "leave"])
        if kind == "whole":
            answer = await client.post(CHAT, json=ask(model, messages=said))
            seen[await check_whole(answer, model)] += 1
        elif kind == "stream":
            answer = await client.post(CHAT, json=ask(model, stream=True, messages=said))
            seen[await check_stream(answer, model)] += 1
        else:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(rng.random() * 0.03):
                    await client.post(CHAT, json=ask(model, stream=True, messages=said))
            seen["left"] += 1


def words(model: str) -> str:
    return "".join(f"{revision(model).engine_name} {number} " for number in range(CHUNKS))


async def check_whole(answer: httpx.Response, model: str) -> str:
    if answer.status_code == 200:
        assert answer.json()["choices"][0]["message"]["content"] == words(model)
        return "whole"
    assert answer.status_code in (422, 502, 503, 504)
    assert answer.json()["error"]["code"]
    # As clients do: or all that is left is refused in the moment for which every circuit is open.
    await asyncio.sleep(0.2)
    return "refused"


async def check_stream(answer: httpx.Response, model: str) -> str:
    if answer.status_code != 200:
        return await check_whole(answer, model)
    received = events(answer.text)
    text = "".join(
        event["choices"][0]["delta"].get("content", "")
        for event in received
        if event != "[DONE]" and event.get("choices")
    )
    if received[-1] == "[DONE]":
        assert text == words(model), "a truncated or mixed answer passed for a whole one"
        return "streamed"
    assert json.dumps(received[-1]["error"])
    assert words(model).startswith(text), "what came before the error is not the answer's beginning"
    return "told"


@pytest.mark.parametrize("seed", [1, 2])
async def test_whatever_happens_on_the_way_an_answer_is_whole_or_an_error_and_nothing_is_left(seed: int) -> None:
    seen: Counter[str] = Counter()
    async with troubled(seed) as (router, fakes):
        waiting = asyncio.Semaphore(40)

        async def client(number: int) -> None:
            async with waiting:
                await one_client(router, number, seen)

        async with asyncio.TaskGroup() as clients:
            for number in range(REQUESTS):
                clients.create_task(client(seed * 10_000 + number))
        await until(lambda: router.public_app.in_flight == 0)
        assert not any(router.public_app.at_replica(fake.name) for fake in fakes)
        assert b"patchbay_router_faults_total{" not in router.metrics.render()
    assert sum(seen.values()) == REQUESTS
    assert seen["whole"] + seen["streamed"] > REQUESTS / 2, seen
    for fake in fakes:
        for request in fake.seen:
            assert request.finished.is_set(), "a replica goes on with what nobody waits for"


async def test_a_client_that_closes_its_half_of_the_connection_frees_its_request() -> None:
    fake = FakeEngine()
    fake.script.fault = "hang"
    async with running_router(fake) as router:
        url, body = httpx.URL(router.url), json.dumps(ask()).encode()
        _, writer = await asyncio.open_connection(url.host, url.port)
        writer.write(
            b"POST %s HTTP/1.1\r\nhost: localhost\r\ncontent-length: %d\r\n\r\n" % (CHAT.encode(), len(body)) + body
        )
        await fake.request()
        writer.write_eof()
        async with asyncio.timeout(1):
            await fake.seen[0].cancelled.wait()
        writer.close()


async def test_slow_readers_of_many_streams_cost_bounded_memory() -> None:
    fake = FakeEngine()
    fake.script.raw = [b"data: " + b"x" * 16_000 + b"\n\n"] * 4000
    async with running_router(fake) as router:
        url, body = httpx.URL(router.url), json.dumps(ask(stream=True)).encode()
        request = (
            b"POST %s HTTP/1.1\r\nhost: localhost\r\ncontent-length: %d\r\n\r\n" % (CHAT.encode(), len(body)) + body
        )
        readers = [await asyncio.open_connection(url.host, url.port, limit=1024) for _ in range(40)]
        before = psutil.Process().memory_info().rss
        for _, writer in readers:
            writer.write(request)
        await until(lambda: len(fake.seen) == 40)
        await asyncio.sleep(2)
        grown = psutil.Process().memory_info().rss - before
        assert grown < 64 * 2**20, f"{grown / 2**20:.0f} MiB are being gathered"
        for _, writer in readers:
            writer.transport.abort()
        await until(lambda: router.public_app.in_flight == 0)


async def test_a_head_that_comes_too_slowly_is_a_408_and_the_end_of_its_connection() -> None:
    async with running_router(FakeEngine(), head_timeout_s=0.2) as router:
        url = httpx.URL(router.url)
        reader, writer = await asyncio.open_connection(url.host, url.port)
        writer.write(b"GET /v1/models HTTP/1.1\r\nhost: ")
        async with asyncio.timeout(4):
            answer = await reader.read()
        writer.close()
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"request_timeout" in answer
