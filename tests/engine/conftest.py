"""One real stack for the whole run: vLLM on the demo's base, six adapters, a router in front.

It is started by the command that a user types, so that what is tested is what is shipped.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from openai import OpenAI

from patchbay.adapters.artifacts.store import ArtifactStore
from patchbay.adapters.checks.base import BaseLayout
from patchbay.adapters.config import RegistryConfig
from patchbay.adapters.lifecycle import Lifecycle
from patchbay.adapters.publish import Publisher, PushRequest
from patchbay.launch.demo import demo_sections
from patchbay.registry.records import ChannelChange
from patchbay.registry.registry import Registry
from patchbay.tuning.demo.build import DemoModels, build_demo
from patchbay.tuning.demo.recipe import SHIPPED_SEED
from patchbay.tuning.progress import Silent

START_TIMEOUT_S = 240
TOKEN = "engine-tests"


@dataclass
class Stack:
    """`patchbay up`, running. `events`: what it said, as JSON objects; `logs`: its processes' lines."""

    process: subprocess.Popen[str]
    url: str
    admin_url: str
    replica_url: str
    models: DemoModels
    folder: Path
    events: list[dict[str, Any]] = field(default_factory=list)
    logs: list[str] = field(default_factory=list)
    told: threading.Condition = field(default_factory=threading.Condition)

    def wait_for(self, kind: str, *, count: int = 1, timeout_s: float = START_TIMEOUT_S) -> dict[str, Any]:
        """The `count`-th event of this kind. Fails with the logs where it does not come in time."""

        def found() -> list[dict[str, Any]]:
            return [event for event in self.events if event["event"] == kind]

        with self.told:
            self.told.wait_for(lambda: len(found()) >= count or self.process.poll() is not None, timeout_s)
            assert len(found()) >= count, f"no {kind} event; the last lines were\n" + "\n".join(self.logs[-40:])
            return found()[count - 1]

    def client(self) -> OpenAI:
        """The stock client, as an application would make it."""
        return OpenAI(base_url=f"{self.url}/v1", api_key="unused", max_retries=0, timeout=60)

    def replica(self, number: int = 0) -> httpx.Client:
        """A client of a replica's own port, with its token."""
        host, _, first = self.replica_url.rpartition(":")
        return httpx.Client(
            base_url=f"{host}:{int(first) + number}", headers={"authorization": f"Bearer {TOKEN}"}, timeout=60
        )

    @property
    def registry_settings(self) -> RegistryConfig:
        """Where the stack's registry and its artifacts are."""
        data = self.folder / "data"
        url = f"sqlite:///{data / 'registry.db'}"
        return RegistryConfig.model_validate({"url": url, "artifacts": {"url": str(data / "artifacts")}})

    def push(self, name: str, folder: Path) -> str:
        """Pushes an adapter into the stack's registry, as people do, and returns the revision's name."""
        settings = self.registry_settings
        base = BaseLayout.of_folder(self.models.base)
        with Registry.open(settings.url.get_secret_value()) as registry:
            publisher = Publisher(registry, ArtifactStore.open(settings.artifacts), settings, max_rank=16)
            return publisher.push(PushRequest(name, str(folder)), actor="test", base=base).revision.name

    def promote(self, revision: str) -> None:
        """Promotes a revision, and waits until it is what its adapter's name means. Raises Conflict."""
        with Registry.open(self.registry_settings.url.get_secret_value()) as registry:
            lifecycle = Lifecycle(registry)
            moved = lifecycle.promote(revision, actor="test")
            if moved.rollout is not None:
                lifecycle.wait_for_rollout(moved.rollout, timeout_s=60)
            assert not lifecycle.wait_until_live(registry.generation()).missing

    def serve(self, name: str, folder: Path) -> str:
        """Pushes and promotes."""
        revision = self.push(name, folder)
        self.promote(revision)
        return revision

    def withdraw(self, *names: str) -> None:
        """Empties the adapters' channels, so that replicas remove them."""
        with Registry.open(self.registry_settings.url.get_secret_value()) as registry:
            for name in names:
                view = registry.snapshot().adapters[name]
                registry.move(
                    ChannelChange(adapter=name, number=None, channel="stable", actor="test", why=None, kind="clear"),
                    expected=view.number("stable"),
                )

    def status(self) -> dict[str, Any]:
        """What the replica says of itself."""
        with self.replica() as client:
            answer: dict[str, Any] = client.get("/internal/status").raise_for_status().json()
            return answer


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on right now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in sockets]
    for listener in sockets:
        listener.close()
    return ports


@contextmanager
def router_process(folder: Path, config: dict[str, Any]) -> Iterator[str]:
    """A router in a process of its own, once it is ready; its address. `config` names its ports."""
    file = folder / "router.yaml"
    file.write_text(yaml.safe_dump(config))
    process = subprocess.Popen(
        [sys.executable, "-m", "patchbay.router", "--config", str(file)], stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            try:
                if httpx.get(f"http://127.0.0.1:{config['admin_port']}/readyz").status_code == 200:
                    break
            except httpx.TransportError:
                pass
            time.sleep(0.1)
        yield f"http://127.0.0.1:{config['port']}"
    finally:
        process.terminate()
        process.wait(30)


def start_stack(folder: Path, models: DemoModels, **changes: Any) -> Stack:
    """Starts `patchbay up` on the demo's models; `changes` replace whole sections of its configuration."""
    port, admin_port, replica_port = free_ports(3)
    sections = demo_sections(models) | {
        "replicas": {"count": 1, "first_port": replica_port, "token": TOKEN},
        "router": {"port": port, "admin_port": admin_port, "admin_open": True},
        "lora": {"max_loras": 3, "max_cpu_loras": 7, "max_rank": 16},
    }
    file = folder / "patchbay.yaml"
    file.write_text(yaml.safe_dump(sections | changes))
    process = subprocess.Popen(
        [sys.executable, "-m", "patchbay", "up", "--config", str(file), "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PATCHBAY_DATA_DIR": str(folder / "data")},
    )
    url, admin_url, replica_url = (f"http://127.0.0.1:{number}" for number in (port, admin_port, replica_port))
    stack = Stack(process, url, admin_url, replica_url, models, folder)
    for pipe, take in ((process.stdout, _take_event), (process.stderr, _take_log)):
        threading.Thread(target=_read, args=(stack, pipe, take), daemon=True).start()
    return stack


def _read(stack: Stack, pipe: Any, take: Any) -> None:
    for line in pipe:
        with stack.told:
            take(stack, line.rstrip("\n"))
            stack.told.notify_all()
    # Who waits for an event learns that none comes any more.
    stack.process.wait()
    with stack.told:
        stack.told.notify_all()


def _take_event(stack: Stack, line: str) -> None:
    stack.events.append(json.loads(line))


def _take_log(stack: Stack, line: str) -> None:
    stack.logs.append(line)


def stop_stack(stack: Stack) -> int:
    """Ctrl-C, and the exit code."""
    stack.process.send_signal(signal.SIGINT)
    try:
        return stack.process.wait(60)
    except subprocess.TimeoutExpired:
        stack.process.kill()
        raise


@contextmanager
def ready_stack(running: Stack) -> Iterator[Stack]:
    """Waits until a stack that was started is ready, and stops it in the end, where it still runs."""
    try:
        running.wait_for("ready")
        yield running
    finally:
        if running.process.poll() is None:
            stop_stack(running)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the tests that stop the shared stack behind all others, whatever their files are called."""
    items.sort(key=lambda item: item.get_closest_marker("ends_the_stack") is not None)


@pytest.fixture(scope="session")
def demo_models(tmp_path_factory: pytest.TempPathFactory) -> DemoModels:
    return build_demo(tmp_path_factory.mktemp("demo"), seed=SHIPPED_SEED, train=False, progress=Silent())


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory, demo_models: DemoModels) -> Iterator[Stack]:
    with ready_stack(start_stack(tmp_path_factory.mktemp("stack"), demo_models)) as running:
        yield running


@pytest.fixture
def client(stack: Stack) -> Iterator[OpenAI]:
    with stack.client() as made:
        yield made
