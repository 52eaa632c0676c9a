"""A router's process ends within a bound, whatever hangs, and its background work outlives its own failures."""

import asyncio
import signal
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


# Tells on a signal how many objects the collector leaves alone, and how many new ones make it look.
_TELLING = """
import gc, signal
signal.signal(signal.SIGUSR1, lambda *_: print("frozen", gc.get_freeze_count(), gc.get_threshold()[0], flush=True))
"""


async def test_the_collector_leaves_alone_what_was_there_before_it_serves_and_looks_seldom(tmp_path: Path) -> None:
    port, admin_port = free_port(), free_port()
    file = tmp_path / "router.yaml"
    ports = {"port": port, "admin_port": admin_port, "replicas": [f"http://127.0.0.1:{free_port()}"]}
    file.write_text(yaml.safe_dump(ports))
    async with Run.start(["-c", f"{_TELLING}\n{_ROUTER}", "--config", str(file)]) as run:
        async with httpx.AsyncClient() as client:
            await _until_alive(client, f"http://127.0.0.1:{admin_port}/healthz")
        run.up.send_signal(signal.SIGUSR1)
        _, frozen, threshold = (await run.line("frozen ")).split()
    # Python's own threshold is 700, and a router's imports alone are some hundred thousand objects.
    assert (int(frozen) > 50_000, int(threshold) > 5000) == (True, True), (frozen, threshold)


async def test_its_event_loop_is_watched() -> None:
    router = Router(RouterConfig.model_validate({"replicas": ["http://127.0.0.1:9"], "port": 0, "admin_port": 0}))
    running = asyncio.create_task(router.run())
    await router.up.wait()
    async with asyncio.timeout(10):
        while _lags(router) < 2:
            await asyncio.sleep(0.02)
    router.stop()
    await running


def _lags(router: Router) -> float:
    """How often it was measured how late the loop is."""
    lines = router.metrics.render().decode().splitlines()
    found = [line for line in lines if line.startswith("patchbay_router_event_loop_lag_seconds_count")]
    return float(found[0].rpartition(" ")[2])


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
