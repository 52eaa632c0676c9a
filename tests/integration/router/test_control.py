"""Routers with a registry, in front of fake replicas: what the registry says comes to be, and nothing else does."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from patchbay.adapters.publish import PushRequest
from patchbay.core.errors import Conflict
from patchbay.core.tenancy import Limits
from patchbay.registry.database import Database
from patchbay.registry.records import Scope
from patchbay.router.process.app import Router
from tests.fakes.adapter_folder import write_adapter
from tests.fakes.engine import FakeEngine
from tests.fakes.installation import Installation, registry_settings
from tests.fakes.routers import running_router, until
from tests.integration.router.wire import ask, content, post

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def controlled(
    folder: Path,
    *engines: FakeEngine,
    keep_warm_s: float = 600,
    sources: Mapping[str, Any] | None = None,
    **settings: Any,
) -> AsyncIterator[Router]:
    registry = registry_settings(folder, keep_warm_s=keep_warm_s, sources=dict(sources or {}))
    async with running_router(*engines, registry=registry, registry_poll_s=0.02, **settings) as router:
        yield router


async def push(installation: Installation, fill: int) -> str:
    return (await asyncio.to_thread(installation.push, "sql", fill)).name


async def promote(installation: Installation, reference: str) -> None:
    moved = await asyncio.to_thread(installation.lifecycle.promote, reference, actor="ml")
    if moved.rollout is not None:
        await asyncio.to_thread(installation.lifecycle.wait_for_rollout, moved.rollout, timeout_s=10)


async def answered_by(router: Router, model: str = "sql") -> str:
    """The revision that answers for `model`, without its digest."""
    response = await post(router, ask(model))
    assert response.status_code == 200, response.text
    return content(response).partition(" ")[0].rpartition("-")[0]


async def until_answered_by(router: Router, revision: str, model: str = "sql") -> None:
    await until(lambda: _meaning(router, model) == revision)
    assert await answered_by(router, model) == revision


def _meaning(router: Router, model: str) -> str | None:
    target = router.fleet.view.table.get(model)
    return target.revision if target and target.replicas else None


async def test_a_declared_adapter_is_checked_staged_tested_and_served_before_the_router_is_ready(
    tmp_path: Path,
) -> None:
    engine = FakeEngine()
    declared = {"sql": str(write_adapter(tmp_path / "sql"))}
    async with controlled(tmp_path, engine, adapters=declared) as router, httpx.AsyncClient() as http:
        await until(lambda: router.public_app.ready)
        assert (await http.get(f"{router.admin_url}/readyz")).status_code == 200
        assert await answered_by(router) == "sql@1"
        assert engine.seen[0].headers["x-patchbay-revision"].startswith("sql@1-")


async def health(router: Router) -> tuple[int, int]:
    async with httpx.AsyncClient() as http:
        return (await http.get(f"{router.url}/healthz")).status_code, (
            await http.get(f"{router.admin_url}/readyz")
        ).status_code


async def test_a_router_with_a_registry_and_only_plain_servers_is_never_ready(
    tmp_path: Path, installation: Installation
) -> None:
    await promote(installation, await push(installation, 1))
    plain = FakeEngine(plain=True)
    async with controlled(tmp_path, plain) as leader, controlled(tmp_path, plain) as other:
        for router in (leader, other):
            await until(lambda router=router: router.public_app.ready)  # type: ignore[misc]
            assert await health(router) == (200, 200)
        plain.health = 503
        await until(lambda: leader.fleet.view.ready == 0)
        assert await health(leader) == (503, 503)


async def test_a_plain_server_makes_a_router_ready_whose_own_replica_has_no_revisions_yet(
    tmp_path: Path, installation: Installation
) -> None:
    await promote(installation, await push(installation, 1))
    plain, ours = FakeEngine("plain", plain=True), FakeEngine()
    ours.held = asyncio.Event()
    async with controlled(tmp_path, plain, ours) as router:
        await until(lambda: router.fleet.view.ready == 2)
        assert await health(router) == (503, 503)
        ours.held.set()
        await until(lambda: router.public_app.ready)


async def test_what_was_promoted_by_hand_survives_a_restart_of_the_router_that_declares_another(
    tmp_path: Path, installation: Installation
) -> None:
    declared = {"sql": str(write_adapter(tmp_path / "sql"))}
    engine = FakeEngine()
    async with engine.running_server():
        async with controlled(tmp_path, engine, adapters=declared) as router:
            await until(lambda: router.public_app.ready)
            await promote(installation, await push(installation, 2))
        async with controlled(tmp_path, engine, adapters=declared) as router:
            await until_answered_by(router, "sql@2")
        write_adapter(tmp_path / "sql", fill=3)
        async with controlled(tmp_path, engine, adapters=declared) as router:
            await until_answered_by(router, "sql@3")


async def test_a_name_means_the_old_revision_until_every_replica_has_the_new_one(
    tmp_path: Path, installation: Installation
) -> None:
    engines = FakeEngine("a"), FakeEngine("b")
    await push(installation, 1)
    await promote(installation, "sql@1")
    async with controlled(tmp_path, *engines) as router:
        await until_answered_by(router, "sql@1")
        engines[1].held = asyncio.Event()
        promotion = asyncio.create_task(promote(installation, await push(installation, 2)))
        await until(lambda: "sql@2" in engines[1].puts and any(one.number == 2 for one in engines[0].revisions))
        assert await answered_by(router) == "sql@1"
        engines[1].held.set()
        await promotion
        await until_answered_by(router, "sql@2")


async def test_a_replica_that_refuses_a_revision_fails_its_rollout_with_the_reason_and_the_name_stays(
    tmp_path: Path, installation: Installation
) -> None:
    engines = FakeEngine("a"), FakeEngine("b")
    await push(installation, 1)
    await promote(installation, "sql@1")
    async with controlled(tmp_path, *engines) as router:
        await until_answered_by(router, "sql@1")
        engines[1].refused["sql"] = "its rank is too high"
        with pytest.raises(Conflict, match="b: its rank is too high"):
            await promote(installation, await push(installation, 2))
        assert await answered_by(router) == "sql@1"
        engines[1].refused.clear()
        await promote(installation, "sql@2")
        await until_answered_by(router, "sql@2")


async def test_a_revision_that_does_not_answer_as_its_golden_prompts_say_is_not_promoted(
    tmp_path: Path, installation: Installation
) -> None:
    await push(installation, 1)
    await promote(installation, "sql@1")
    golden = "golden: [{prompt: hello, contains: a word that no fake says}]\n"
    async with controlled(tmp_path, FakeEngine()) as router:
        await until_answered_by(router, "sql@1")
        source = write_adapter(tmp_path / "golden", fill=2)
        (source / "patchbay-adapter.yaml").write_text(golden)
        await asyncio.to_thread(installation.publisher.push, PushRequest("sql", str(source)), actor="ml")
        with pytest.raises(Conflict, match="golden prompt 1"):
            await promote(installation, "sql@2")
        assert await answered_by(router) == "sql@1"


async def test_a_rollback_is_the_flip_alone_and_reaches_every_router(
    tmp_path: Path, installation: Installation
) -> None:
    engine = FakeEngine()
    await push(installation, 1)
    await promote(installation, "sql@1")
    async with (
        engine.running_server(),
        controlled(tmp_path, engine, name="one") as one,
        controlled(tmp_path, engine, name="two") as two,
    ):
        await until_answered_by(one, "sql@1")
        await promote(installation, await push(installation, 2))
        await until_answered_by(two, "sql@2")
        puts = list(engine.puts)
        await until(lambda: bool(installation.registry.reports()))
        moved = await asyncio.to_thread(installation.lifecycle.rollback, "sql", actor="sre", why="it is worse")
        assert moved.channel is not None, "the revision before was still warm, so nothing had to be staged"
        arrival = await asyncio.to_thread(installation.lifecycle.wait_until_live, moved.generation)
        assert (set(arrival.after_s), arrival.missing) == ({"one", "two"}, ())
        assert [await answered_by(router) for router in (one, two)] == ["sql@1", "sql@1"]
        assert engine.puts == puts


async def test_what_is_no_longer_wanted_is_removed_and_what_a_rollback_needs_stays_until_then(
    tmp_path: Path, installation: Installation
) -> None:
    engine = FakeEngine()
    await push(installation, 1)
    await promote(installation, "sql@1")
    async with controlled(tmp_path, engine, keep_warm_s=600) as router:
        await until_answered_by(router, "sql@1")
        await promote(installation, await push(installation, 2))
        assert engine.drops == []
    async with engine.running_server(), controlled(tmp_path, engine, keep_warm_s=0):
        await until(lambda: engine.drops == ["sql@1"], timeout_s=10)
    assert [one.number for one in engine.revisions] == [2]


async def test_a_revision_that_is_not_kept_is_a_404_that_says_so_to_whoever_may_know_of_it(
    tmp_path: Path, installation: Installation
) -> None:
    accounts = installation.registry.accounts
    accounts.create_tenant("acme", tier="default", limits=Limits(), actor="ml")
    mine, others = (
        accounts.create_key("acme", Scope(routes=None, adapters=(name,)), actor="ml")[0].text
        for name in ("sql", "demo-base")
    )
    for fill in (1, 2):
        await push(installation, fill)
    async with controlled(tmp_path, FakeEngine(), keep_warm_s=0) as router:
        await promote(installation, "sql@2")
        await until(lambda: _meaning(router, "sql") == "sql@2")
        told = await post(router, ask("sql@1"), authorization=f"Bearer {mine}")
        hidden = await post(router, ask("sql@1"), authorization=f"Bearer {others}")
        absent = await post(router, ask("sql@9"), authorization=f"Bearer {mine}")
    assert told.status_code == hidden.status_code == absent.status_code == 404
    assert "not kept on replicas" in told.json()["error"]["message"]
    assert "promoted or named in a route" in told.json()["error"]["message"]
    for other in (hidden, absent):
        assert other.json()["error"]["message"].endswith("do not have access to it.")


async def test_a_replica_that_comes_back_empty_gets_everything_again(
    tmp_path: Path, installation: Installation
) -> None:
    engine = FakeEngine()
    await push(installation, 1)
    await promote(installation, "sql@1")
    async with controlled(tmp_path, engine) as router:
        await until_answered_by(router, "sql@1")
        await engine.stop()
        engine.revisions = ()
        await until(lambda: router.fleet.view.ready == 0)
        response = await post(router, ask("sql"))
        assert (response.status_code, response.json()["error"]["code"]) == (503, "unavailable")
        await engine.start()
        await until(lambda: router.fleet.view.ready == 1 and engine.puts[-1] == "sql@1" and len(engine.revisions) == 1)
        await until_answered_by(router, "sql@1")


async def test_a_revision_for_another_base_model_is_never_put_on_a_replica(
    tmp_path: Path, installation: Installation
) -> None:
    engine = FakeEngine()
    engine.fingerprint = "e" * 64
    await push(installation, 1)
    await promote(installation, "sql@1")
    async with controlled(tmp_path, engine) as router:
        await until(lambda: router.public_app.ready)
        await until_answered_by(router, "sql@1")


async def test_a_replica_without_room_for_adapters_is_left_alone_and_adapters_go_to_the_others(
    tmp_path: Path, installation: Installation
) -> None:
    own, pool = FakeEngine("own"), FakeEngine("pool", base="embedder")
    own.fingerprint, pool.fingerprint, pool.slots = "a" * 64, "b" * 64, 0
    declared = {"other": str(write_adapter(tmp_path / "other"))}
    await push(installation, 1)
    await promote(installation, "sql@1")
    async with controlled(tmp_path, own, pool, adapters=declared) as router:
        await until(lambda: router.public_app.ready)
        await until_answered_by(router, "sql@1")
        await until_answered_by(router, "other@1", "other")
        embedded = await post(router, ask("embedder"), path="/v1/embeddings")
    assert embedded.status_code == 200
    assert (pool.puts, [seen.path for seen in pool.seen]) == ([], ["/v1/embeddings"])


async def test_a_router_whose_replicas_all_embed_is_ready(tmp_path: Path) -> None:
    pool = FakeEngine("pool", base="embedder")
    pool.slots = 0
    async with controlled(tmp_path, pool) as router:
        await until(lambda: router.public_app.ready)
        assert (await post(router, ask("embedder"), path="/v1/embeddings")).status_code == 200


async def test_a_router_waits_for_the_replica_of_its_adapters_where_one_that_embeds_is_ready(
    tmp_path: Path, installation: Installation
) -> None:
    own, pool = FakeEngine("own"), FakeEngine("pool", base="embedder")
    own.phase, pool.slots = "starting", 0
    await push(installation, 1)
    await promote(installation, "sql@1")
    async with controlled(tmp_path, own, pool) as router:
        await until(lambda: router.fleet.view.ready == 1)
        assert not router.public_app.ready
        own.phase = "ready"
        await until(lambda: router.public_app.ready)
        await until_answered_by(router, "sql@1")


async def test_when_the_router_that_reconciles_ends_another_goes_on(tmp_path: Path, installation: Installation) -> None:
    engine = FakeEngine()
    await push(installation, 1)
    await promote(installation, "sql@1")
    async with engine.running_server():
        async with controlled(tmp_path, engine, name="first"):
            await until(lambda: engine.puts == ["sql@1"])
            second = controlled(tmp_path, engine, name="second")
            router = await second.__aenter__()
        try:
            await until_answered_by(router, "sql@1")
            await promote(installation, await push(installation, 2))
            await until_answered_by(router, "sql@2")
        finally:
            await second.__aexit__(None, None, None)


async def test_a_registry_that_was_restored_from_an_older_copy_is_followed(
    tmp_path: Path, installation: Installation
) -> None:
    async with controlled(tmp_path, FakeEngine()) as router:
        await push(installation, 1)
        await promote(installation, "sql@1")
        await until_answered_by(router, "sql@1")
        with (
            closing(Database(installation.settings.url.get_secret_value())) as database,
            database.write() as connection,
        ):
            connection.execute(text("UPDATE state SET generation = 1"))
            connection.execute(text("UPDATE channels SET number = NULL"))
        await until(lambda: _meaning(router, "sql") is None)


async def test_replicas_that_are_no_longer_configured_are_forgotten(tmp_path: Path, installation: Installation) -> None:
    async with controlled(tmp_path, FakeEngine("old")):
        await until(lambda: [report.name for report in installation.registry.reports()] == ["old"])
    async with controlled(tmp_path, FakeEngine("new")):
        await until(lambda: [report.name for report in installation.registry.reports()] == ["new"])


async def test_requests_wait_for_a_lone_replica_that_has_come_back_to_be_given_its_adapters_again(
    tmp_path: Path, installation: Installation
) -> None:
    engine = FakeEngine()
    await push(installation, 1)
    await promote(installation, "sql@1")
    async with controlled(tmp_path, engine) as router:
        await until_answered_by(router, "sql@1")
        await engine.stop()
        await until(lambda: router.fleet.view.ready == 0)
        engine.revisions, engine.held = (), asyncio.Event()
        await engine.start()
        await until(lambda: router.public_app.ready)
        asked = [asyncio.create_task(post(router, ask(model))) for model in ("sql", "sql@1")]
        await until(lambda: router.public_app.in_flight == 2)
        engine.held.set()
        assert [(await one).status_code for one in asked] == [200, 200]
        assert (await post(router, ask("sqll"))).status_code == 404


async def test_a_request_is_answered_by_a_replica_that_was_started_again_before_the_router_saw_it(
    tmp_path: Path, installation: Installation
) -> None:
    engine = FakeEngine()
    await push(installation, 1)
    await promote(installation, "sql@1")
    async with controlled(tmp_path, engine, poll_interval_s=60) as router:
        await until_answered_by(router, "sql@1")
        # What the router still believes to be there is gone, and comes back as soon as it looks.
        engine.revisions = ()
        assert (await post(router, ask("sql"))).status_code == 200
