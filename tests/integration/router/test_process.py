"""A router's process ends within a bound, whatever hangs, and its background work outlives its own failures."""

import asyncio
from pathlib import Path

import httpx
import pytest
import yaml

from patchbay.router.process.app import Router
from patchbay.router.settings.config import RouterConfig
from tests.fakes.launch_run import Run, free_port

pytestmark = pytest.mark.anyio
_HANGS = {
    "thread": "import threading, time; threading.Thread(target=time.sleep, args=(600,)).start()",
    "exit": "import atexit, time; atexit.register(time.sleep, 600)",
    "nothing": "",
}
_ROUTER = "import sys, typer; from patchbay.router.cli.serve import run; app = typer.Typer(); app.command()(run); app()"


@pytest.mark.parametrize("hang", _HANGS)
async def test_sigterm_ends_it_whatever_hangs(tmp_path: Path, hang: str) -> None:
    port, admin_port = free_port(), free_port()
    file = tmp_path / "router.yaml"
    ports = {"port": port, "admin_port": admin_port, "replicas": [f"http://127.0.0.1:{free_port()}"]}
    file.write_text(yaml.safe_dump(ports | {"drain_timeout_s": 1, "end_timeout_s": 2}))
    async with Run.start(["-c", f"{_HANGS[hang]}\n{_ROUTER}", "--config", str(file)]) as run:
        async with httpx.AsyncClient() as client:
            await _until_alive(client, f"http://127.0.0.1:{admin_port}/healthz")
        run.up.terminate()
        assert await run.end() == (0 if hang == "nothing" else 1)


@pytest.mark.parametrize("part", ["members", "limiter"])
async def test_a_background_task_that_fails_is_counted_and_goes_on(part: str) -> None:
    router = Router(RouterConfig.model_validate({"replicas": ["http://127.0.0.1:9"], "port": 0, "admin_port": 0}))
    work, failed = getattr(router, f"_{part}").run, asyncio.Event()

    async def fails_once() -> None:
        if not failed.is_set():
            failed.set()
            raise ValueError("nobody expected that")
        await work()

    setattr(getattr(router, f"_{part}"), "run", fails_once)  # noqa: B010 - mypy knows no such assignment
    running = asyncio.create_task(router.run())
    await router.up.wait()
    assert failed.is_set()
    assert f'patchbay_router_faults_total{{where="{part}"}} 1.0' in router.metrics.render().decode()
    assert not running.done()
    router.stop()
    await running


async def _until_alive(client: httpx.AsyncClient, url: str) -> None:
    async with asyncio.timeout(60):
        while True:
            try:
                if (await client.get(url)).is_success:
                    return
            except httpx.TransportError:
                await asyncio.sleep(0.05)
