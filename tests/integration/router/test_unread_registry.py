"""A router whose registry cannot be read, or was replaced: it lets nobody in, leads nobody, and removes nothing."""

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from patchbay.core.tenancy import Limits
from patchbay.registry.records import Scope
from tests.fakes.engine import FakeEngine, revision
from tests.fakes.installation import Installation
from tests.fakes.routers import until
from tests.integration.router.test_control import controlled, promote, push, until_answered_by
from tests.integration.router.wire import ask, post

pytestmark = pytest.mark.anyio


def _rename(folder: Path, before: str, after: str) -> None:
    with closing(sqlite3.connect(folder / "registry.db")) as database:
        database.execute(f"ALTER TABLE {before} RENAME TO {after}")
        database.commit()


async def test_a_router_that_starts_while_the_registry_cannot_be_read_opens_no_door_and_removes_nothing(
    tmp_path: Path, installation: Installation
) -> None:
    engine = FakeEngine()
    await push(installation, 1)
    await promote(installation, "sql@1")
    async with engine.running_server():
        async with controlled(tmp_path, engine) as router:
            await until_answered_by(router, "sql@1")
        installation.registry.accounts.create_tenant("acme", tier="default", limits=Limits(), actor="ml")
        made, _ = installation.registry.accounts.create_key("acme", Scope(), actor="ml")
        _rename(tmp_path, "moves", "moves_away")
        async with controlled(tmp_path, engine) as router, httpx.AsyncClient() as http:
            assert (await http.get(f"{router.admin_url}/readyz")).status_code == 503
            for shown in ({}, {"authorization": "Bearer pb-nosuch"}, {"authorization": f"Bearer {made.text}"}):
                answer = await http.post(f"{router.url}/v1/chat/completions", json=ask("sql"), headers=shown)
                assert (answer.status_code, answer.json()["error"]["code"]) == (503, "unavailable"), answer.text
            assert installation.registry.take_lease("reconciler", "somebody else", 0.001), (
                "it leads by what it does not know"
            )
            _rename(tmp_path, "moves_away", "moves")
            await until(lambda: router.public_app.ready)
            assert (await post(router, ask("sql"))).status_code == 401
    assert engine.drops == []


async def test_a_registry_that_is_replaced_by_an_empty_one_changes_nothing_until_somebody_means_it(
    tmp_path: Path, installation: Installation
) -> None:
    engine = FakeEngine()
    await push(installation, 1)
    await promote(installation, "sql@1")
    async with controlled(tmp_path, engine) as router, httpx.AsyncClient() as http:
        await until_answered_by(router, "sql@1")
        with closing(sqlite3.connect(tmp_path / "registry.db")) as database:
            for table in ("rollouts", "channels", "revisions", "adapters"):
                for (trigger,) in database.execute(
                    "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = ?", (table,)
                ).fetchall():
                    database.execute(f"DROP TRIGGER {trigger}")
                database.execute(f"DELETE FROM {table}")  # noqa: S608 - our own names
            database.execute("UPDATE state SET generation = generation + 1")
            database.commit()
        await until(lambda: "patchbay_router_registry_up 0" in router.metrics.render().decode())
        assert (await post(router, ask("sql"))).status_code == 200
        accepted = await http.post(f"{router.admin_url}/admin/v1/registry/accept", json={"why": "it is meant so"})
        assert accepted.status_code == 202
        await until(lambda: engine.drops == ["sql@1"], timeout_s=20)
    assert [one.action for one in installation.registry.audit(limit=1)] == ["registry.accept"]


async def test_revisions_that_an_empty_registry_does_not_name_stay_until_somebody_means_it(
    tmp_path: Path, installation: Installation
) -> None:
    engine = FakeEngine(revisions=(revision("sql"), revision("json")))
    async with controlled(tmp_path, engine) as router, httpx.AsyncClient() as http:
        await until(lambda: "patchbay_router_removals_held 2.0" in router.metrics.render().decode())
        assert engine.drops == []
        assert (await post(router, ask("demo-base"))).status_code == 200
        await http.post(f"{router.admin_url}/admin/v1/registry/accept", json={"why": "it is meant so"})
        await until(lambda: sorted(engine.drops) == ["json@1", "sql@1"], timeout_s=20)


async def test_a_registry_that_is_away_is_told_by_the_log_and_the_metrics_and_requests_go_on(
    tmp_path: Path, installation: Installation, caplog: pytest.LogCaptureFixture
) -> None:
    file, away = tmp_path / "registry.db", tmp_path / "away.db"
    async with controlled(tmp_path, FakeEngine()) as router:
        file.rename(away)
        await until(lambda: "patchbay_router_registry_up 0" in router.metrics.render().decode())
        assert "the registry is out of reach" in caplog.text
        await until(lambda: "patchbay_router_registry_age_seconds 0.0" not in router.metrics.render().decode())
        assert (await post(router, ask("demo-base"))).status_code == 200
        away.rename(file)
        await until(lambda: "patchbay_router_registry_up 1" in router.metrics.render().decode())


@pytest.mark.timeout(60)
async def test_a_registry_that_does_not_answer_holds_up_neither_requests_nor_metrics(
    tmp_path: Path, installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, answered = threading.Event(), threading.Event()
    async with controlled(tmp_path, FakeEngine()) as router, httpx.AsyncClient() as http:
        assert router.control is not None
        registry = router.control.registry
        read = registry.generation

        def hangs() -> int:
            asked.set()
            answered.wait()
            return read()

        monkeypatch.setattr(registry, "generation", hangs)
        try:
            await until(asked.is_set)
            assert (await post(router, ask("demo-base"))).status_code == 200
            assert (await http.get(f"{router.admin_url}/metrics")).status_code == 200
        finally:
            answered.set()
