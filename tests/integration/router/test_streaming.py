import asyncio
import json

import httpx
import pytest

from tests.fakes.engine import FakeEngine, revision
from tests.fakes.engine_words import event
from tests.fakes.routers import running_router, until
from tests.integration.router.wire import CHAT, ask, content, events, post, streaming

pytestmark = pytest.mark.anyio


def text_of(stream: str) -> str:
    chunks = [chunk for chunk in events(stream) if chunk != "[DONE]"]
    return "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks)


async def test_a_stream_and_a_whole_answer_carry_the_same_text() -> None:
    async with running_router(FakeEngine(revisions=(revision("sql"),))) as router:
        async with streaming(router, "sql") as response:
            streamed = (await response.aread()).decode()
        whole = content(await post(router, ask("sql")))
    assert text_of(streamed) == whole
    assert events(streamed)[-1] == "[DONE]"
    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.headers["x-patchbay-adapter"] == "sql@1"


async def test_the_first_chunk_arrives_before_the_second_is_made() -> None:
    fake = FakeEngine()
    fake.script.gate = gate = asyncio.Semaphore(1)
    async with running_router(fake) as router, streaming(router) as response:
        chunks = response.aiter_text()
        async with asyncio.timeout(2):
            first = await anext(chunks)
        assert len(events(first)) == 1
        gate.release()
        async with asyncio.timeout(2):
            second = await anext(chunks)
        assert len(events(second)) == 1
        for _ in range(10):
            gate.release()


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
async def test_a_stream_that_the_network_cut_anywhere_passes_byte_for_byte(size: int) -> None:
    stream = event({"content": "é\r\n"}, "m") + b": ping\n\n" + event({}, "m", "stop") + b"data: [DONE]\n\n"
    fake = FakeEngine()
    fake.script.raw = [stream[start : start + size] for start in range(0, len(stream), size)]
    async with running_router(fake) as router, streaming(router) as response:
        assert await response.aread() == stream


async def test_streams_do_not_mix() -> None:
    fake = FakeEngine(revisions=tuple(revision(f"a{number}") for number in range(20)))
    fake.script.chunks, fake.script.delay_s = 5, 0.002
    async with running_router(fake) as router:

        async def read(number: int) -> str:
            async with streaming(router, f"a{number}") as response:
                return text_of((await response.aread()).decode())

        texts = await asyncio.gather(*(read(number) for number in range(20)))
    for number, text in enumerate(texts):
        assert text.count(f"a{number}@1-") == 5
        assert text.count("@") == 5


async def test_the_replica_learns_within_a_second_that_a_streams_client_left() -> None:
    fake = FakeEngine()
    fake.script.gate = asyncio.Semaphore(1)
    async with running_router(fake) as router:
        async with streaming(router) as response:
            await anext(response.aiter_bytes())
        async with asyncio.timeout(1):
            await (await fake.request()).cancelled.wait()
        await until(lambda: router.public_app.in_flight == 0)
        assert b'outcome="cancelled"' in router.metrics.render()


async def test_the_replica_learns_that_the_client_left_before_its_first_byte() -> None:
    fake = FakeEngine()
    fake.script.fault = "hang"
    async with running_router(fake) as router:
        asking = asyncio.create_task(post(router))
        seen = await fake.request()
        asking.cancel()
        async with asyncio.timeout(1):
            await seen.cancelled.wait()
        await until(lambda: router.public_app.in_flight == 0)
        assert router.public_app.at_replica("replica-0") == 0


async def test_a_client_that_pipelined_more_and_left_is_noticed_too() -> None:
    fake = FakeEngine()
    fake.script.gate = asyncio.Semaphore(1)
    async with running_router(fake) as router:
        url = httpx.URL(router.url)
        body = json.dumps(ask(stream=True)).encode()
        request = (
            b"POST %s HTTP/1.1\r\nhost: localhost\r\ncontent-length: %d\r\n\r\n" % (CHAT.encode(), len(body)) + body
        )
        reader, writer = await asyncio.open_connection(url.host, url.port)
        writer.write(request * 3)
        await reader.readuntil(b"data: ")
        writer.transport.abort()
        async with asyncio.timeout(1):
            await (await fake.request()).cancelled.wait()
        await until(lambda: router.public_app.in_flight == 0)
    assert len(fake.seen) == 1


async def test_pipelined_requests_are_answered_in_order() -> None:
    async with running_router(FakeEngine()) as router:
        url = httpx.URL(router.url)
        reader, writer = await asyncio.open_connection(url.host, url.port)
        get = b"GET /v1/models/%s HTTP/1.1\r\nhost: localhost\r\n%s\r\n"
        writer.write(get % (b"demo-base", b"") + get % (b"nope", b"connection: close\r\n"))
        answers = (await reader.read()).decode()
        writer.close()
    assert answers.index("200 OK") < answers.index("404 Not Found")


async def test_a_reader_that_does_not_read_holds_the_replica_back_and_not_the_memory() -> None:
    fake = FakeEngine()
    fake.script.raw = [b"data: " + b"x" * 50_000 + b"\n\n"] * 2000
    async with running_router(fake) as router:
        url = httpx.URL(router.url)
        body = json.dumps(ask(stream=True)).encode()
        reader, writer = await asyncio.open_connection(url.host, url.port, limit=1024)
        writer.write(
            b"POST %s HTTP/1.1\r\nhost: localhost\r\ncontent-length: %d\r\n\r\n" % (CHAT.encode(), len(body)) + body
        )
        await reader.readuntil(b"\r\n")
        seen = await fake.request()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(seen.finished.wait(), 0.5)
        assert not seen.finished.is_set()
        writer.transport.abort()
        async with asyncio.timeout(1):
            await seen.finished.wait()
