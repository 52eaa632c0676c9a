"""A call is one call in `usage`, whoever else was asked for it; one that no limit can ever let in is told so."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from patchbay.core.tenancy import Limits
from patchbay.registry.records import Scope, UsageRow
from tests.fakes.engine import FakeEngine, Script
from tests.fakes.installation import Installation
from tests.fakes.routers import until
from tests.integration.router.trying import SLOW, ask_as, routed, start, two_revisions, until_phase
from tests.integration.router.wire import ask, client_of, error_of

pytestmark = pytest.mark.anyio


def used(installation: Installation) -> list[UsageRow]:
    return [*installation.registry.accounts.usage(since=datetime.now(UTC) - timedelta(days=1))]


async def test_a_call_that_fell_back_from_a_canary_is_booked_once_under_who_answered(
    tmp_path: Path, installation: Installation
) -> None:
    two_revisions(installation)
    engine = FakeEngine()
    async with routed(tmp_path, engine) as router:
        await until_phase(installation, start(installation, SLOW), "running")
        await until(lambda: bool(router.live_canaries.running))
        before = sum(row.requests for row in used(installation))
        engine.scripts["sql@2"] = Script(fault="busy_503")
        # Fewer than the breaker needs to end it.
        assert {await ask_as(router, caller) for caller in range(6)} == {"sql@1"}
    rows = used(installation)
    assert sum(row.requests for row in rows) - before == 6
    assert {row.model for row in rows} == {"sql@1"}
    assert sum(row.failed for row in rows) == 0


async def test_a_call_that_fell_back_from_a_route_and_then_failed_is_booked_once_as_failed(
    tmp_path: Path, installation: Installation
) -> None:
    two_revisions(installation)
    engine = FakeEngine()
    routes = {"first": {"model": "sql", "fallbacks": ["second"]}, "second": "sql@1"}
    async with routed(tmp_path, engine, routes=routes) as router:
        engine.script = Script(fault="busy_503")
        assert await ask_as(router, 1, "first") == "error"
    [row] = used(installation)
    assert (row.requests, row.failed) == (1, 1)


async def test_a_client_that_goes_away_before_the_answer_begins_is_counted_and_not_as_failed(
    tmp_path: Path, installation: Installation
) -> None:
    two_revisions(installation)
    engine = FakeEngine()
    async with routed(tmp_path, engine, routes={"first": "sql"}) as router:
        engine.script = Script(fault="hang")
        before = len(engine.seen)
        asking = asyncio.create_task(ask_as(router, 1, "first"))
        await until(lambda: len(engine.seen) > before)
        asking.cancel()
        await until(lambda: router.public_app.in_flight == 0)
    [row] = used(installation)
    assert (row.requests, row.failed) == (1, 0)


async def test_a_request_that_alone_is_over_a_limit_is_wrong_and_not_early(
    tmp_path: Path, installation: Installation
) -> None:
    two_revisions(installation)
    accounts = installation.registry.accounts
    accounts.create_tenant("acme", tier="default", limits=Limits(tokens_per_minute=500), actor="ml")
    made, _ = accounts.create_key("acme", Scope(), actor="ml")
    async with (
        routed(tmp_path, FakeEngine()) as router,
        client_of(router, authorization=f"Bearer {made.text}") as client,
    ):
        answer = await client.post("/v1/chat/completions", json=ask("sql", max_tokens=1000))
        fits = await client.post("/v1/chat/completions", json=ask("sql", max_tokens=10))
    assert answer.status_code == 400
    assert error_of(answer)["type"] == "invalid_request_error"
    assert "This request alone may take" in error_of(answer)["message"]
    assert "500 tokens per minute" in error_of(answer)["message"]
    assert "retry-after" not in answer.headers
    assert fits.status_code == 200
