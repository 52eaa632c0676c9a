"""An idle replica sleeps, one that is killed comes back by itself, and Ctrl-C leaves nothing behind."""

import contextlib
import os
import signal
import socket
import time
from pathlib import Path

import httpx
import psutil
import pytest
from openai import APIStatusError, OpenAI

from patchbay.launch.demo import demo_sections
from patchbay.tuning.demo.build import DemoModels
from tests.engine.conftest import Stack, start_stack, stop_stack
from tests.engine.test_adapters import until
from tests.engine.test_endpoints import REQUEST, answer

pytestmark = pytest.mark.engine


def shared_memory(processes: list[psutil.Process]) -> set[Path]:
    """The segments of Python's shared memory that `processes` have mapped."""
    mapped: set[Path] = set()
    for process in processes:
        with contextlib.suppress(psutil.Error):
            mapped |= {Path(one.path) for one in process.memory_maps() if one.path.startswith("/dev/shm/psm_")}
    return mapped


def cpu_seconds(processes: list[psutil.Process]) -> float:
    return sum(process.cpu_times().user + process.cpu_times().system for process in processes)


def test_an_idle_replica_sleeps_although_the_router_asks_for_its_state(stack: Stack) -> None:
    processes = psutil.Process(stack.process.pid).children(recursive=True)
    time.sleep(2)
    before, span_s = cpu_seconds(processes), 4.0
    time.sleep(span_s)
    used = cpu_seconds(processes) - before
    assert used < span_s / 2, f"{used:.1f} s of CPU in {span_s} s: a worker that is asked at every poll never sleeps"


def test_a_replica_that_is_killed_comes_back_and_answers_as_before(stack: Stack, client: OpenAI) -> None:
    before = answer(client, "sql", REQUEST)
    started = [event for event in stack.events if event["event"] == "starting" and event["process"] == "replica-0"]
    engine = psutil.Process(started[-1]["pid"]).children(recursive=True)
    segments = shared_memory(engine)
    os.kill(started[-1]["pid"], signal.SIGKILL)
    stack.wait_for("restarted")
    until(lambda: httpx.get(f"{stack.url}/healthz").status_code == 200)
    _, alive = psutil.wait_procs(engine, timeout=5)
    assert not alive, "the killed replica's engine lives on"
    assert segments
    assert not [path for path in segments if path.exists()], "shared memory is left"
    assert answer(client, "sql", REQUEST) == before


def test_a_replica_whose_engine_dies_right_after_ready_is_replaced_and_up_killed_takes_everything_along(
    tmp_path: Path, demo_models: DemoModels
) -> None:
    """The engine's core is killed before a request has come, the next one stands still under a request; then `up`
    itself is killed, which can end nobody any more."""
    own = start_stack(tmp_path, demo_models, engine={**demo_sections(demo_models)["engine"], "stall_timeout_s": 5})
    try:
        own.wait_for("ready")
        pid = next(one["pid"] for one in own.events if one["event"] == "starting" and one["process"] == "replica-0")
        engine = psutil.Process(pid).children(recursive=True)
        next(one for one in engine if "EngineCore" in _title(one)).kill()
        own.wait_for("restarted")
        until(lambda: httpx.get(f"{own.url}/healthz").status_code == 200, timeout_s=30)
        _, alive = psutil.wait_procs(engine, timeout=10)
        assert not alive, "the dead engine's processes live on"
        with own.client() as client:
            assert answer(client, "sql", REQUEST)
            stand_still(own)
            # No other replica is there to answer within `carry_timeout_s`.
            with pytest.raises(APIStatusError) as broken_off:
                answer(client.with_options(timeout=240), "sql", REQUEST)
            assert broken_off.value.status_code in (502, 503)
            own.wait_for("restarted", count=2)
            # Until its adapters are loaded again, they are a 503, after which clients ask once more.
            assert answer(client.with_options(max_retries=9), "sql", REQUEST)
        assert any("stood still for 5 s" in line for line in own.logs)
        everything = psutil.Process(own.process.pid).children(recursive=True)
        segments = shared_memory(everything)
        own.process.kill()
        _, alive = psutil.wait_procs(everything, timeout=20)
        assert not [_title(one) for one in alive], "they outlive the command that started them"
        assert not [path for path in segments if path.exists()], "shared memory is left"
    finally:
        for one in psutil.Process(own.process.pid).children(recursive=True) if own.process.poll() is None else ():
            one.kill()
        own.process.kill()
        own.process.wait()


def stand_still(stack: Stack) -> None:
    """Stops the engine's core, which lives on and does nothing."""
    pid = [one["pid"] for one in stack.events if one["event"] == "starting" and one["process"] == "replica-0"][-1]
    core = next(one for one in psutil.Process(pid).children(recursive=True) if "EngineCore" in _title(one))
    core.send_signal(signal.SIGSTOP)


def _title(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""


@pytest.mark.ends_the_stack
def test_ctrl_c_ends_everything_and_frees_every_port(stack: Stack) -> None:
    assert httpx.get(f"{stack.url}/healthz").status_code == 200
    processes = psutil.Process(stack.process.pid).children(recursive=True)
    segments = shared_memory(processes)
    assert len(processes) >= 4, "router, replica, engine and worker"
    assert stop_stack(stack) == 0
    _, alive = psutil.wait_procs(processes, timeout=5)
    assert not alive
    for url in (stack.url, stack.admin_url, stack.replica_url):
        socket.create_server(("127.0.0.1", httpx.URL(url).port or 0)).close()
    assert not list((stack.folder / "data" / "run").iterdir())
    assert not [path for path in segments if path.exists()], "shared memory is left"
    openmp = [Path(f"/dev/shm/__KMP_REGISTERED_LIB_{process.pid}_{os.getuid()}") for process in processes]
    assert not [path for path in openmp if path.exists()]
