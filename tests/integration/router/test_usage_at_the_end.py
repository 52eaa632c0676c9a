"""A router that ends while somebody else holds SQLite's write lock, or the registry is gone, loses no usage."""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
import yaml

from patchbay.core.tenancy import Limits
from patchbay.registry.records import Scope, UsageBatch, UsageRow
from patchbay.registry.spool import spool_of
from patchbay.registry.usage_book import UsageBook
from tests.fakes.engine import FakeEngine
from tests.fakes.installation import Installation
from tests.fakes.launch_run import Run, free_port
from tests.fakes.routers import until
from tests.integration.router.test_control import controlled
from tests.integration.router.wire import ask

pytestmark = pytest.mark.anyio
_END_S = 6


def counted(installation: Installation) -> int:
    since = datetime.now(UTC) - timedelta(days=1)
    return sum(row.requests for row in installation.registry.accounts.usage(since=since, tenant="acme"))


@asynccontextmanager
async def router_process(folder: Path, engine: FakeEngine, port: int) -> AsyncIterator[Run]:
    file = folder / "router.yaml"
    registry = {"url": f"sqlite:///{folder / 'registry.db'}", "artifacts": {"url": str(folder / "artifacts")}}
    replica = {"url": engine.url, "name": engine.name, "token": engine.token}
    settings = {"port": port, "admin_port": free_port(), "replicas": [replica], "registry": registry}
    file.write_text(yaml.safe_dump(settings | {"drain_timeout_s": 1, "end_timeout_s": _END_S}))
    async with Run.start(["-m", "patchbay.router", "--config", str(file)], PATCHBAY_DATA_DIR=str(folder)) as run:
        await _until_ready(settings["admin_port"])
        yield run


async def _until_ready(admin_port: object) -> None:
    async with asyncio.timeout(20), httpx.AsyncClient() as client:
        while True:
            with contextlib.suppress(httpx.TransportError):
                if (await client.get(f"http://127.0.0.1:{admin_port}/readyz")).is_success:
                    return
            await asyncio.sleep(0.05)


async def one_request(installation: Installation, port: int, key: str) -> None:
    async with httpx.AsyncClient() as client:
        url = f"http://127.0.0.1:{port}/v1/chat/completions"
        answer = await client.post(url, json=ask(), headers={"authorization": f"Bearer {key}"})
        assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("fault", ["locked", "gone"])
async def test_sigterm_while_usage_cannot_be_written_ends_in_time_and_the_next_router_counts_it_once(
    tmp_path: Path, installation: Installation, fault: str
) -> None:
    installation.registry.accounts.create_tenant("acme", tier="default", limits=Limits(), actor="ml")
    key, _ = installation.registry.accounts.create_key("acme", Scope(), actor="ml")
    file, spool, port = tmp_path / "registry.db", tmp_path / "registry.db.spool", free_port()
    async with FakeEngine().running_server() as engine:
        async with router_process(tmp_path, engine, port) as run:
            with closing(sqlite3.connect(file, isolation_level=None)) as other:
                if fault == "locked":
                    other.execute("BEGIN IMMEDIATE")
                else:
                    file.rename(tmp_path / "away.db")
                await one_request(installation, port, key.text)
                run.up.terminate()
                assert await run.end() == 0, "\n".join(run.log[-20:])
        assert len(list(spool.iterdir())) == 1
        assert "the next router here counts it" in "\n".join(run.log)
        if fault == "gone":
            (tmp_path / "away.db").rename(file)
        assert counted(installation) == 0
        async with router_process(tmp_path, engine, free_port()) as run:
            await run.line("is counted now")
            run.up.terminate()
            assert await run.end() == 0
    assert counted(installation) == 1
    assert list(spool.iterdir()) == []


async def test_usage_that_waits_is_told_by_the_metrics_until_it_is_counted(
    tmp_path: Path, installation: Installation
) -> None:
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    book = UsageBook(installation.registry.accounts, spool_of(installation.settings.url.get_secret_value()))
    book.keep(UsageBatch("ended", 1, (UsageRow(hour=hour, tenant="acme", route="help", model="sql", requests=1),)))
    engine = FakeEngine()
    async with engine.running_server():
        with closing(sqlite3.connect(tmp_path / "registry.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            async with controlled(tmp_path, engine) as router:
                assert b"patchbay_router_usage_spooled 1.0" in router.metrics.render()
                other.execute("ROLLBACK")
                await until(lambda: b"patchbay_router_usage_spooled 0.0" in router.metrics.render(), timeout_s=30)
    assert counted(installation) == 1
