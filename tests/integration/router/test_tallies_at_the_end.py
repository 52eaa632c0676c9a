"""A router that ends while a canary runs: what it has counted is in the registry."""

import asyncio
from pathlib import Path

import pytest
import sqlalchemy

from patchbay.registry.schema import tallies
from patchbay.router.canary.plan import PlanConfig, StepConfig
from patchbay.router.control import canary_counts as passing_on
from tests.fakes.engine import FakeEngine
from tests.fakes.installation import Installation
from tests.integration.router.trying import ERRORS, answered_by, routed, start, two_revisions, until_phase
from tests.integration.router.wire import ask, post

pytestmark = pytest.mark.anyio
# So many looks apart that none is taken meanwhile.
PLAN = PlanConfig(steps=(StepConfig(weight=50, hold_s=600, samples=1000),), metrics=ERRORS, unit="request")


async def test_a_router_that_ends_has_told_all_that_it_counted_of_a_canary(
    tmp_path: Path, installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passing_on, "EVERY_S", 3600)
    two_revisions(installation)
    async with routed(tmp_path, FakeEngine()) as router:
        canary = start(installation, PLAN)
        await until_phase(installation, canary, "running")
        while not router.live_canaries.running:
            await asyncio.sleep(0.01)
        answers = [answered_by(await post(router, ask("sql", user=f"caller-{one}"))) for one in range(20)]
    assert set(answers) == {"sql@1", "sql@2"}
    engine = sqlalchemy.create_engine(installation.settings.url.get_secret_value())
    with engine.connect() as connection:
        told = [row.counts for row in connection.execute(sqlalchemy.select(tallies.c.counts))]
    engine.dispose()
    assert sum(one["canary"] + one["other"] for one in told) == 20
