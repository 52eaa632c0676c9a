"""Pushes by the admin port that mean harm, or are slow, or go away: nobody but they notice."""

import asyncio
import io
import json
import signal
import tarfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from patchbay.adapters.publish import PushRequest
from tests.fakes.adapter_folder import write_adapter
from tests.fakes.engine import FakeEngine
from tests.fakes.hostile import Asked, HostileServer, dripping, pax_bomb, tar_with
from tests.fakes.installation import Installation
from tests.fakes.routers import free_port, read_until, start_process, until
from tests.integration.router.test_control import controlled
from tests.integration.router.wire import error_of

pytestmark = pytest.mark.anyio
GZIP = {"content-type": "application/gzip"}


@asynccontextmanager
async def served(folder: Path, **sources: Any) -> AsyncIterator[tuple[httpx.AsyncClient, asyncio.subprocess.Process]]:
    """A router in a process, with a registry, and a client of its admin port."""
    registry = {
        "url": f"sqlite:///{folder / 'registry.db'}",
        "artifacts": {"url": str(folder / "artifacts")},
        "sources": {"staging": str(folder / "staging"), **sources},
    }
    config = folder / "router.yaml"
    config.write_text(json.dumps({"replicas": ["http://127.0.0.1:1"], "admin_open": True, "registry": registry}))
    port, admin = free_port(), free_port()
    process = await start_process("--config", str(config), "--port", str(port), "--admin-port", str(admin))
    try:
        await read_until(process.stderr, "listening on", timeout_s=60)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{admin}", timeout=120) as http:
            yield http, process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def confined(process: asyncio.subprocess.Process) -> list[psutil.Process]:
    try:
        return [one for one in psutil.Process(process.pid).children() if one.status() != psutil.STATUS_ZOMBIE]
    except psutil.NoSuchProcess:
        return []


def staged(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "staging").glob("*"))


async def source(http: httpx.AsyncClient, text: str, name: str = "sql") -> httpx.Response:
    return await http.post(f"/admin/v1/adapters/{name}/revisions", json={"source": text})


async def test_200_bytes_that_take_a_minute_to_parse_hold_up_nobody(tmp_path: Path) -> None:
    async with served(tmp_path, cpu_s=4) as (http, process):
        pushing = asyncio.create_task(http.post("/admin/v1/adapters/bomb/upload", content=pax_bomb(), headers=GZIP))
        await until(lambda: bool(confined(process)), timeout_s=30)
        before = psutil.Process(process.pid).cpu_times().user
        for _ in range(5):
            assert (await http.get("/healthz")).status_code == 200
            assert (await http.get("/metrics")).status_code == 200
        assert not pushing.done()
        refused = await pushing
        assert (refused.status_code, error_of(refused)["code"]) == (422, "adapter_rejected")
        assert "seconds of processor time" in error_of(refused)["message"]
        # The router itself has parsed none of it.
        assert psutil.Process(process.pid).cpu_times().user - before < 4
        assert staged(tmp_path) == []


async def test_registries_that_drip_fill_the_places_for_pushes_and_nothing_else(
    tmp_path: Path, installation: Installation
) -> None:
    for fill in (1, 2):
        await asyncio.to_thread(installation.push, "sql", fill)
    limits = {"private": ["127.0.0.1"], "at_a_time": 2, "waiting": 6, "slow_s": 60}
    with HostileServer(dripping).serving() as server:
        async with (
            controlled(tmp_path, FakeEngine(), sources=limits) as router,
            httpx.AsyncClient(base_url=router.admin_url, timeout=60) as http,
        ):
            slow = [asyncio.create_task(source(http, f"oci://{server.host}/a/b:{n}", f"slow{n}")) for n in range(8)]
            await until(lambda: server.open >= 2, timeout_s=60)
            refused = await source(http, f"oci://{server.host}/a/b:9")
            assert (refused.status_code, error_of(refused)["code"]) == (503, "unavailable")
            assert int(refused.headers["retry-after"]) > 0
            metrics = await http.get("/metrics")
            assert 'patchbay_router_push_refusals_total{reason="busy"} 1.0' in metrics.text
            for number in (1, 2):
                body = {"revision": number, "now": True}
                assert (await http.post("/admin/v1/adapters/sql/promote", json=body)).status_code == 202
            assert (await http.post("/admin/v1/adapters/sql/rollback", json={"now": True})).status_code == 202
            control = router.control
            assert control is not None
            wanted = await asyncio.to_thread(installation.registry.generation)
            await until(lambda: control.follower.snapshot.generation >= wanted)
            assert all(not one.done() for one in slow)
            assert server.open == 2
            # The router's end ends them, too.
        ended = await asyncio.gather(*slow, return_exceptions=True)
        assert {one.status_code for one in ended if isinstance(one, httpx.Response)} <= {503}
        await until(lambda: server.open == 0, timeout_s=30)
    assert staged(tmp_path) == []


async def test_a_client_that_goes_away_ends_its_fetch_and_its_files_are_gone(tmp_path: Path) -> None:
    with HostileServer(dripping).serving() as server:
        async with served(tmp_path, private=["127.0.0.1"], slow_s=600) as (http, process):
            pushing = asyncio.create_task(source(http, f"oci://{server.host}/a/b:v1"))
            await until(lambda: server.open == 1 and bool(staged(tmp_path)), timeout_s=60)
            pushing.cancel()
            await until(lambda: server.open == 0 and not confined(process), timeout_s=30)
            await until(lambda: not staged(tmp_path), timeout_s=30)


async def test_a_killed_router_leaves_no_fetch_and_the_next_one_removes_its_files(tmp_path: Path) -> None:
    with HostileServer(dripping).serving() as server:
        async with served(tmp_path, private=["127.0.0.1"], slow_s=600) as (http, process):
            pushing = asyncio.create_task(source(http, f"oci://{server.host}/a/b:v1"))
            await until(lambda: server.open == 1 and bool(staged(tmp_path)), timeout_s=60)
            process.send_signal(signal.SIGKILL)
            await asyncio.gather(pushing, return_exceptions=True)
            await until(lambda: server.open == 0, timeout_s=30)
    assert staged(tmp_path)
    async with served(tmp_path):
        await until(lambda: not staged(tmp_path), timeout_s=30)


async def test_an_upload_slower_than_it_must_be_is_given_up(tmp_path: Path) -> None:
    head = "POST /admin/v1/adapters/sql/upload HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/gzip\r\n"
    async with served(tmp_path, slow_s=1) as (http, _):
        reader, writer = await asyncio.open_connection(http.base_url.host, http.base_url.port)
        writer.write(head.encode() + b"content-length: 1000\r\n\r\n")
        answered = asyncio.create_task(reader.readuntil(b"}}"))
        while not answered.done():
            writer.write(b"x")
            await asyncio.sleep(0.2)
        writer.close()
        answer = (await answered).decode()
        assert answer.startswith("HTTP/1.1 408")
        assert "request_timeout" in answer
        assert staged(tmp_path) == []


def realm_of(url: str) -> Callable[[Asked], None]:
    def answer(asked: Asked) -> None:
        asked.answer("401 Unauthorized", www_authenticate=f'Bearer realm="{url}",service="x"')

    return answer


def redirect_to(url: str) -> Callable[[Asked], None]:
    return lambda asked: asked.answer("302 Found", location=url)


@pytest.mark.parametrize("lead", [realm_of, redirect_to], ids=["realm", "redirect"])
async def test_a_registry_does_not_lead_a_fetch_to_an_address_that_nobody_allowed(
    tmp_path: Path, lead: Callable[[str], Callable[[Asked], None]]
) -> None:
    with HostileServer(lambda asked: asked.answer("200 OK", b"{}")).serving() as inside:
        port = inside.host.partition(":")[2]
        # Of all of loopback only the registry's own address is allowed.
        with HostileServer(lead(f"http://127.0.0.2:{port}/latest/meta-data")).serving() as registry:
            async with served(tmp_path, private=["127.0.0.1"]) as (http, _):
                closed = await source(http, f"oci://{registry.host}/a/b:v1")
        assert inside.seen == []
        told = error_of(closed)["message"]
    assert closed.status_code == 422
    assert "may not be reached from here" in told


async def test_every_refusal_of_an_address_has_the_same_words(tmp_path: Path) -> None:
    with HostileServer(lambda asked: asked.answer("200 OK", b"{}")).serving() as inside:
        async with served(tmp_path) as (http, _):
            told = set()
            sources = (
                f"oci://{inside.host}/a/b:v1",
                "oci://127.0.0.1:1/a/b:v1",
                "oci://localhost:1/a/b:v1",
                "https://169.254.169.254/a.zip",
                "https://[::ffff:127.0.0.1]/a.zip",
                "https://2130706433/a.zip",
                "https://nowhere.invalid/a.zip",
            )
            for text in sources:
                refused = await source(http, text)
                assert refused.status_code == 422, refused.text
                told.add(error_of(refused)["message"].replace(text, "SOURCE"))
        assert len(told) == 1, told
        assert inside.seen == []


async def test_whatever_a_source_is_or_answers_is_an_error_in_our_shape_and_a_line_in_the_log(tmp_path: Path) -> None:
    bodies = iter([b"[]", b'{"layers": [{"digest": []}]}', b"\xff\xfe", b"9" * 5000, b'{"manifests": [null]}'])
    with HostileServer(lambda asked: asked.answer("200 OK", next(bodies))).serving() as server:
        async with served(tmp_path, private=["127.0.0.1"]) as (http, process):
            sources = [f"oci://{server.host}/a/b:v{number}" for number in range(5)]
            sources += [
                "https://[::1",
                "hf://a/b/../c",
                "oci://UPPER/X",
                "https://",
                "https://huggingface.co:99999/a.zip",
            ]
            for text in sources:
                refused = await source(http, text)
                assert refused.status_code in (400, 422), (text, refused.text)
                assert error_of(refused)["message"], text
            process.terminate()
            assert process.stderr is not None
            logged = (await process.stderr.read()).decode()
        assert logged.count("the push of 'sql' from") >= 9
        assert "Traceback" not in logged


async def test_an_operators_own_declaration_may_be_on_this_machine_and_a_clients_push_may_not(
    tmp_path: Path, installation: Installation
) -> None:
    folder = write_adapter(tmp_path / "v1")
    pushed = await asyncio.to_thread(
        installation.publisher.push, PushRequest("sql", str(folder), authority="operator"), actor="ml"
    )
    assert pushed.created
    with HostileServer(lambda asked: asked.answer("404 Not Found")).serving() as server:
        request = PushRequest("sql", f"oci://{server.host}/a/b:v1", authority="operator")
        with pytest.raises(Exception, match="answers 404"):
            await asyncio.to_thread(installation.publisher.push, request, actor="ml")
        with pytest.raises(Exception, match="may not be reached"):
            await asyncio.to_thread(installation.publisher.push, PushRequest("sql", request.source), actor="ml")


async def test_a_router_that_starts_removes_what_killed_processes_left_in_both_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    left = [tmp_path / "staging" / ".patchbay-work-upload-x", tmp_path / ".patchbay-work-pull-x"]
    for folder in left:
        folder.mkdir(parents=True)
    async with served(tmp_path):
        await until(lambda: not any(folder.exists() for folder in left), timeout_s=30)


async def test_a_refused_upload_tells_its_publisher_folders_of_the_server(tmp_path: Path) -> None:
    folder = write_adapter(tmp_path / "sql")
    (folder / "adapter_config.json").write_text("[]")
    bad = [tar_with("../x"), tar_with("d", tarfile.SYMTYPE, "/etc"), b"no archive", b"", packed(folder)]
    async with served(tmp_path) as (http, process):
        for body in bad:
            refused = await http.post("/admin/v1/adapters/sql/upload", content=body, headers=GZIP)
            assert refused.status_code == 422, refused.text
            assert str(tmp_path) not in refused.text
            assert ".patchbay-work" not in refused.text
        assert error_of(refused)["message"].startswith("adapter_config.json must hold a JSON object")
        assert str(tmp_path / "staging") in await read_until(process.stderr, "must hold a JSON object")


def packed(folder: Path) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for path in folder.iterdir():
            tar.add(path, path.name)
    return buffer.getvalue()
