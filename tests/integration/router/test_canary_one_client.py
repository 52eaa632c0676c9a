"""One client against a good canary, on a real router: by its own deadline, and by one key under ever new names."""

import asyncio
from pathlib import Path

import pytest

from patchbay.core.tenancy import Limits
from patchbay.registry.records import Scope
from patchbay.router.canary.plan import MetricConfig
from tests.fakes.engine import FakeEngine, Script
from tests.fakes.installation import Installation
from tests.fakes.routers import until
from tests.integration.router.trying import SLOW, routed, start, two_revisions, until_phase
from tests.integration.router.wire import CHAT, ask, client_of

pytestmark = pytest.mark.anyio
PLAN = SLOW.model_copy(
    update={
        "metrics": {name: MetricConfig(tolerated=1.5, most=0.05, margin=2.5) for name in ("votes", "errors")},
        "settle_s": 0.0,
    }
)


def key_of(installation: Installation, tenant: str) -> str:
    accounts = installation.registry.accounts
    accounts.create_tenant(tenant, tier="default", limits=Limits(), actor="ml")
    return f"Bearer {accounts.create_key(tenant, Scope(), actor='ml')[0].text}"


async def test_a_key_that_votes_the_canary_down_under_new_names_rolls_it_back(
    tmp_path: Path, installation: Installation
) -> None:
    two_revisions(installation)
    honest, attacker = key_of(installation, "rival"), key_of(installation, "acme")
    down = 0
    async with (
        routed(tmp_path, FakeEngine()) as router,
        client_of(router, authorization=honest) as asks,
        client_of(router, authorization=attacker) as votes,
    ):
        canary = await until_phase(installation, start(installation, PLAN), "running")
        await until(lambda: bool(router.live_canaries.running))
        for number in range(120):
            named = {"x-patchbay-session": f"honest-{number % 40}"}
            assert (await asks.post(CHAT, json=ask("sql"), headers=named)).status_code == 200
            if number < 40:
                continue
            named = {"x-patchbay-session": f"new-{number}"}
            answer = await votes.post(CHAT, json=ask("sql"), headers=named)
            if answer.headers["x-patchbay-arm"] == "canary":
                told = {"completion_id": answer.headers["x-request-id"], "vote": "down"}
                down += (await votes.post("/v1/feedback", json=told)).status_code == 200
        # Two looks at the evidence, and some.
        await asyncio.sleep(2.5)
        assert installation.registry.canaries.get(canary.id).phase == "running"
    assert down > 20


async def test_a_clients_own_deadline_is_an_error_of_the_canary(tmp_path: Path, installation: Installation) -> None:
    two_revisions(installation)
    engine = FakeEngine()
    async with routed(tmp_path, engine) as router, client_of(router) as client:
        await until_phase(installation, start(installation, PLAN), "running")
        await until(lambda: bool(router.live_canaries.running))
        engine.scripts["sql@2"] = Script(gate=asyncio.Semaphore(0))
        codes = []
        for number in range(40):
            headers = {"x-patchbay-timeout-ms": "80"}
            body = ask("sql", user=f"caller-{number}", stream=number % 2 == 0)
            codes.append((await client.post(CHAT, json=body, headers=headers)).status_code)
        told = router.metrics.render().decode()
        counts = [line for line in told.splitlines() if line.startswith("patchbay_router_canary_events_total{")]
    assert codes.count(504) > 5
    assert counts
    assert not [line for line in counts if 'arm="canary"' in line or "errors" in line]
