"""Real router processes before one fake replica, over one registry on a real PostgreSQL, and callers."""

import asyncio
import itertools
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from patchbay.adapters.artifacts.store import ArtifactStore
from patchbay.adapters.config import RegistryConfig
from patchbay.adapters.lifecycle import Lifecycle
from patchbay.adapters.publish import Publisher, PushRequest
from patchbay.registry.canary_records import CanaryDraft, CanaryRecord
from patchbay.registry.registry import Registry
from patchbay.router.canary.plan import MetricConfig, PlanConfig, StepConfig
from tests.fakes.adapter_folder import write_adapter
from tests.fakes.engine import TOKEN, FakeEngine
from tests.fakes.postgres import NO_SERVER, Postgres, running_postgres, server_programs
from tests.fakes.routers import free_port
from tests.integration.router.wire import ask

# Without what acts at once, so that it is the evidence that is seen to act.
PLAN = PlanConfig(
    steps=(StepConfig(weight=20, hold_s=0, samples=5), StepConfig(weight=50, hold_s=0, samples=5)),
    metrics={"errors": MetricConfig(most=0.2)},
    breaker=1000,
)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    if server_programs() is None:
        pytest.skip(NO_SERVER)
    with running_postgres() as server:
        yield server


@dataclass
class Place:
    """A registry with `sql@1`, which is stable, and `sql@2`; `url`: its database's."""

    folder: Path
    url: str
    registry: Registry

    @property
    def section(self) -> dict[str, Any]:
        """The registry as a configuration names it."""
        return {"url": self.url, "artifacts": {"url": str(self.folder / "artifacts")}, "keep_warm_s": 600}

    def start(self, plan: PlanConfig = PLAN, number: int = 2, why: str | None = None) -> CanaryRecord:
        """Begins a canary of `sql@2`."""
        return self.registry.canaries.start(
            CanaryDraft(adapter="sql", number=number, plan=plan.model_dump(mode="json"), actor="ml", why=why)
        )

    async def until(self, canary: CanaryRecord, *phases: str, timeout_s: float = 40) -> CanaryRecord:
        """The canary, once it is in one of `phases`."""
        async with asyncio.timeout(timeout_s):
            while (record := await asyncio.to_thread(self.registry.canaries.get, canary.id)).phase not in phases:
                await asyncio.sleep(0.05)
        return record

    def counted_by(self, canary: CanaryRecord) -> set[str]:
        """Who told of its requests, `routers` where a look had it of several."""
        told = [tally for look in self.registry.canaries.looks(canary.id) for tally in look.tallies]
        return {one.source for one in told if one.counts["canary"] or one.counts["other"]}

    async def until_reason(self, canary: CanaryRecord, text: str) -> None:
        """Waits until that is said of the canary."""
        async with asyncio.timeout(20):
            while text not in (await asyncio.to_thread(self.registry.canaries.get, canary.id)).reason:
                await asyncio.sleep(0.05)


@pytest.fixture
def place(tmp_path: Path, postgres: Postgres) -> Iterator[Place]:
    url = postgres.new_database()
    with Registry.open(url) as registry:
        yield made_place(tmp_path, url, registry)


def made_place(folder: Path, url: str, registry: Registry) -> Place:
    """An installation in an empty registry."""
    made = Place(folder, url, registry)
    settings = RegistryConfig.model_validate(made.section)
    publisher = Publisher(registry, ArtifactStore.open(settings.artifacts), settings, max_rank=64)
    for fill in (1, 2):
        source = write_adapter(folder / "sources" / f"sql-{fill}", fill=fill)
        publisher.push(PushRequest("sql", str(source)), actor="ml")
    Lifecycle(registry).promote("sql@1", actor="ml", now=True)
    return made


@dataclass
class RouterProcess:
    """A router in a process of its own."""

    name: str
    url: str
    admin_url: str
    process: "subprocess.Popen[bytes]"

    def metric(self, name: str) -> float | None:
        """The value of a metric without labels, None where the router does not answer."""
        try:
            lines = httpx.get(f"{self.admin_url}/metrics").text.splitlines()
        except httpx.HTTPError:
            return None
        return next((float(line.split()[-1]) for line in lines if line.startswith(f"{name} ")), None)


@contextmanager
def router_processes(place: Place, engine: FakeEngine, count: int, **settings: Any) -> Iterator[list[RouterProcess]]:
    """So many, ready; those that are still there are ended with the block."""
    started: list[RouterProcess] = []
    try:
        for number in range(count):
            name, port, admin_port = f"router-{number}", free_port(), free_port()
            config = {
                "name": name,
                "port": port,
                "admin_port": admin_port,
                "admin_open": True,
                "registry_poll_s": 0.1,
                "replicas": [{"url": engine.url, "token": TOKEN, "name": engine.name}],
                "registry": place.section,
                "canary": {"incidents": str(place.folder / "incidents"), **settings},
            }
            file = place.folder / f"{name}.yaml"
            file.write_text(yaml.safe_dump(config))
            log = (place.folder / f"{name}.log").open("wb")
            process = subprocess.Popen([sys.executable, "-m", "patchbay.router", "--config", str(file)], stderr=log)
            url, admin_url = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{admin_port}"
            started.append(RouterProcess(name, url, admin_url, process))
        yield started
    finally:
        for one in started:
            one.process.send_signal(signal.SIGTERM)
        for one in started:
            one.process.wait(20)


async def until_ready(routers: list[RouterProcess]) -> None:
    """Waits until all of them can answer."""
    end_s = time.monotonic() + 30
    async with httpx.AsyncClient() as client:
        for one in routers:
            while time.monotonic() < end_s:
                try:
                    if (await client.get(f"{one.admin_url}/readyz")).status_code == httpx.codes.OK:
                        break
                except httpx.HTTPError:
                    pass
                await asyncio.sleep(0.05)


@asynccontextmanager
async def callers(routers: list[RouterProcess]) -> AsyncIterator[list[str]]:
    """Callers at all routers in turn, each with one request; what they got: a revision, `error`, or `gone` where the
    router is."""
    answers: list[str] = []
    turns = itertools.count()

    async def call(client: httpx.AsyncClient) -> None:
        while True:
            number = next(turns)
            router = routers[number % len(routers)]
            try:
                body = ask("sql", user=f"caller-{number}")
                response = await client.post(f"{router.url}/v1/chat/completions", json=body)
                answers.append(response.headers.get("x-patchbay-adapter", "error") if response.is_success else "error")
            except httpx.HTTPError:
                answers.append("gone")
                await asyncio.sleep(0.05)

    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(httpx.AsyncClient(timeout=20))
        tasks = [asyncio.create_task(call(client)) for _ in range(4)]
        try:
            yield answers
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
