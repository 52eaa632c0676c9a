import asyncio
import contextlib
import json
import os
import signal
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.fakes.engine import TOKEN, FakeEngine, revision
from tests.fakes.routers import free_port, read_until, running_router, start_process, until
from tests.integration.router.wire import CHAT, ask, error_of, events, post, streaming, until_refused

pytestmark = pytest.mark.anyio


async def test_draining_lets_a_stream_finish_and_takes_no_new_connection() -> None:
    fake = FakeEngine()
    fake.script.gate = gate = asyncio.Semaphore(1)
    async with running_router(fake) as router, streaming(router) as response:
        chunks = response.aiter_text()
        received = await anext(chunks)
        router.stop()
        assert not router.public_app.ready
        await until_refused(router)
        for _ in range(10):
            gate.release()
        received += "".join([chunk async for chunk in chunks])
    assert events(received)[-1] == "[DONE]"


async def test_past_the_deadline_a_stream_ends_with_an_error_event() -> None:
    fake = FakeEngine()
    fake.script.gate = asyncio.Semaphore(1)
    async with running_router(fake, drain_timeout_s=0.05) as router, streaming(router) as response:
        router.stop()
        received = events((await response.aread()).decode())
    assert received[-1]["error"]["code"] == "unavailable"
    assert (await fake.request()).cancelled.is_set()


async def test_past_the_deadline_a_request_without_an_answer_gets_a_503() -> None:
    fake = FakeEngine()
    fake.script.fault = "hang"
    async with running_router(fake, drain_timeout_s=0.05) as router:
        asking = asyncio.create_task(post(router))
        await fake.request()
        router.stop()
        response = await asking
    assert response.status_code == 503
    assert "shutting down" in error_of(response)["message"]


async def test_a_stopped_router_leaves_no_task_behind() -> None:
    async with FakeEngine().running_server() as fake:
        await asyncio.sleep(0)
        before = asyncio.all_tasks()
        async with running_router(fake) as router:
            await post(router)
        await asyncio.sleep(0)
        assert {task for task in asyncio.all_tasks() - before if "aiohttp" not in repr(task)} == set()


@contextlib.asynccontextmanager
async def process(
    fake: FakeEngine, tmp_path: Path, *extra: str
) -> AsyncIterator[tuple[asyncio.subprocess.Process, int]]:
    port = free_port()
    config = tmp_path / "router.yaml"
    config.write_text(f"admin_port: 0\nreplicas:\n  - {{url: '{fake.url}', token: {TOKEN}, name: one}}\n")
    started = await start_process("--config", str(config), "--port", str(port), *extra)
    try:
        await read_until(started.stderr, "listening on")
        yield started, port
    finally:
        if started.returncode is None:
            started.kill()
        await started.wait()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_the_process_with_0_after_the_stream_it_was_serving(
    number: signal.Signals, tmp_path: Path
) -> None:
    async with FakeEngine().running_server() as fake, process(fake, tmp_path) as (router, port):
        fake.script.gate = gate = asyncio.Semaphore(1)
        url = f"http://127.0.0.1:{port}{CHAT}"
        async with httpx.AsyncClient() as client, client.stream("POST", url, json=ask(stream=True)) as response:
            chunks = response.aiter_text()
            received = await anext(chunks)
            router.send_signal(number)
            log = await read_until(router.stderr, "draining")
            for _ in range(10):
                gate.release()
            received += "".join([chunk async for chunk in chunks])
        async with asyncio.timeout(60):
            assert await router.wait() == 0
    assert events(received)[-1] == "[DONE]"
    assert "Traceback" not in log


async def test_an_idle_process_ends_within_a_second_even_with_a_connection_open(tmp_path: Path) -> None:
    async with FakeEngine().running_server() as fake, process(fake, tmp_path) as (router, port):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        router.send_signal(signal.SIGTERM)
        async with asyncio.timeout(2):
            assert await router.wait() == 0
        writer.close()


async def test_a_killed_router_frees_its_replicas_work(tmp_path: Path) -> None:
    async with FakeEngine().running_server() as fake, process(fake, tmp_path) as (router, port):
        fake.script.fault = "hang"
        async with httpx.AsyncClient() as client:
            asking = asyncio.create_task(client.post(f"http://127.0.0.1:{port}{CHAT}", json=ask()))
            seen = await fake.request()
            router.kill()
            async with asyncio.timeout(1):
                await seen.cancelled.wait()
            with pytest.raises(httpx.RemoteProtocolError):
                await asking


async def test_a_taken_port_ends_with_1_and_one_clear_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        started = await start_process("--replica", "http://127.0.0.1:1", "--port", port)
        async with asyncio.timeout(10):
            out, err = await started.communicate()
    assert started.returncode == 1
    assert out == b""
    (line,) = err.decode().splitlines()
    assert line.startswith(f"error: Port {port} on 127.0.0.1 is taken by ")
    assert line.endswith(f"(pid {os.getpid()}). Stop what listens there, or choose another port.")


async def test_traffic_in_flight_is_counted_down_to_nothing() -> None:
    async with running_router(FakeEngine()) as router:
        await asyncio.gather(*(post(router) for _ in range(10)))
        await until(lambda: router.public_app.in_flight == 0)
        assert router.public_app.at_replica("replica-0") == 0


async def test_a_client_that_reads_nothing_does_not_keep_the_router_from_ending() -> None:
    fake = FakeEngine()
    fake.script.raw = [b"data: " + b"x" * 50_000 + b"\n\n"] * 2000
    async with running_router(fake, drain_timeout_s=0.05) as router:
        url = httpx.URL(router.url)
        body = json.dumps(ask(stream=True)).encode()
        reader, writer = await asyncio.open_connection(url.host, url.port, limit=1024)
        writer.write(
            b"POST %s HTTP/1.1\r\nhost: localhost\r\ncontent-length: %d\r\n\r\n" % (CHAT.encode(), len(body)) + body
        )
        await reader.readuntil(b"\r\n")
        seen = await fake.request()
        router.stop()
        async with asyncio.timeout(4):
            await seen.finished.wait()
    writer.close()


async def test_a_finished_answer_still_reaches_a_slow_reader_of_a_router_that_ends() -> None:
    async with running_router(FakeEngine(revisions=tuple(revision(f"a{n}") for n in range(3000)))) as router:
        await until(lambda: router.fleet.view.ready == 1)
        url = httpx.URL(router.url)
        reader, writer = await asyncio.open_connection(url.host, url.port, limit=1024)
        writer.write(b"GET /v1/models HTTP/1.1\r\nhost: localhost\r\n\r\n" * 20)
        head = await reader.readuntil(b"\r\n\r\n")
        router.stop()
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r")[0])
        body = await reader.readexactly(length)
        writer.close()
    assert len(json.loads(body)["data"]) == 6001
