"""Last: a replica that is killed comes back by itself, and Ctrl-C leaves nothing behind."""

import os
import signal
import socket

import httpx
import psutil
import pytest
from openai import OpenAI

from tests.engine.conftest import Stack, stop_stack
from tests.engine.test_adapters import until
from tests.engine.test_endpoints import REQUEST, answer

pytestmark = pytest.mark.engine


def test_a_replica_that_is_killed_comes_back_and_answers_as_before(stack: Stack, client: OpenAI) -> None:
    before = answer(client, "sql", REQUEST)
    started = [event for event in stack.events if event["event"] == "starting" and event["process"] == "replica-0"]
    engine = psutil.Process(started[-1]["pid"]).children(recursive=True)
    os.kill(started[-1]["pid"], signal.SIGKILL)
    stack.wait_for("restarted")
    until(lambda: httpx.get(f"{stack.url}/healthz").status_code == 200)
    _, alive = psutil.wait_procs(engine, timeout=5)
    assert not alive, "the killed replica's engine lives on"
    assert answer(client, "sql", REQUEST) == before


def test_ctrl_c_ends_everything_and_frees_every_port(stack: Stack) -> None:
    assert httpx.get(f"{stack.url}/healthz").status_code == 200
    processes = psutil.Process(stack.process.pid).children(recursive=True)
    assert len(processes) >= 4, "router, replica, engine and worker"
    assert stop_stack(stack) == 0
    _, alive = psutil.wait_procs(processes, timeout=5)
    assert not alive
    for url in (stack.url, stack.admin_url, stack.replica_url):
        socket.create_server(("127.0.0.1", httpx.URL(url).port or 0)).close()
    assert not list((stack.folder / "data" / "run").iterdir())
