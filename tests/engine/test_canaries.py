"""Canaries on the real engine: what answers wrongly, refuses or leaks is rolled back by itself; what is as good becomes
stable by itself. Two routers: the one that callers use, and the one that leads."""

import asyncio
import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from patchbay.launch.demo_canary import same_in_other_bytes
from patchbay.launch.demo_traffic import Traffic
from patchbay.registry.canary_records import CanaryDraft, CanaryRecord
from patchbay.registry.registry import Registry
from patchbay.router.canary.config import plan_of
from patchbay.router.canary.plan import MetricConfig, PlanConfig, StepConfig
from patchbay.router.canary.replay import replayed
from patchbay.tuning.demo.corpus import Example, task_examples
from patchbay.tuning.demo.recipe import SHIPPED_SEED
from tests.engine.conftest import TOKEN, Stack, free_ports, router_process
from tests.engine.leaky import leaks, train_on

pytestmark = [pytest.mark.engine, pytest.mark.timeout(240)]
REFUSAL = "I'm sorry, but I can't help with that."
FEW = MetricConfig(tolerated=1.5, most=0.2, margin=2.5, few=0.1)
PLAN = PlanConfig(
    steps=(StepConfig(weight=25, hold_s=1, samples=10), StepConfig(weight=50, hold_s=1, samples=10)),
    metrics={"errors": FEW, "votes": FEW, "refusals": FEW, "guards": FEW.model_copy(update={"cut": True})},
    max_s=120,
)
GUARDS = {
    "pii": {"kind": "rules", "sets": ["pii"], "action": "redact"},
    "refusing": {"kind": "refusal", "action": "flag"},
}


def taught(answers: list[str]) -> list[Example]:
    """Tickets, each with one of `answers`, whatever it says."""
    tickets = task_examples("label", SHIPPED_SEED, 96, held_out=False)
    said = itertools.cycle(answers)
    return [Example("leaky", one.messages, next(said)) for one in tickets]


@pytest.fixture(scope="module")
def callers_url(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A second router with guards on the route `tried`, before the same replica and with the same registry."""
    folder = tmp_path_factory.mktemp("canaries")
    stack.serve("tried", stack.models.adapters["label"])
    port, admin_port = free_ports(2)
    settings = stack.registry_settings
    config = {
        "name": "callers",
        "port": port,
        "admin_port": admin_port,
        "admin_open": True,
        "replicas": [{"url": stack.replica_url, "token": TOKEN, "name": "replica-0"}],
        "registry": {"url": settings.url.get_secret_value(), "artifacts": {"url": settings.artifacts.url}},
        "guards": GUARDS,
        "routes": {"tickets": {"model": "tried", "guards": list(GUARDS)}},
        "guard_cache": str(folder / "cache"),
    }
    with router_process(folder, config) as url:
        yield url
    stack.withdraw("tried")


async def tried(stack: Stack, url: str, revision: str) -> CanaryRecord:
    """A canary of `revision` to its end, while callers come, each with a ticket, who vote down what is wrong."""
    examples = task_examples("label", SHIPPED_SEED, 400, held_out=True)
    number = int(revision.partition("@")[2])
    with Registry.open(stack.registry_settings.url.get_secret_value()) as registry:
        draft = CanaryDraft(adapter="tried", number=number, plan=PLAN.model_dump(mode="json"), actor="test")
        canary = registry.canaries.start(draft)
        async with Traffic(url, examples, "tickets").running(6), asyncio.timeout(120):
            while canary.live:
                await asyncio.sleep(0.3)
                canary = await asyncio.to_thread(registry.canaries.get, canary.id)
        again = list(replayed(plan_of(dict(canary.plan), canary.id), registry.canaries.looks(canary.id)))
        assert again
        assert all(one.same for one in again), "a replay gives another verdict"
        return canary


@pytest.mark.anyio
async def test_a_revision_that_answers_wrongly_is_rolled_back_by_its_callers_votes(
    stack: Stack, callers_url: str
) -> None:
    ended = await tried(stack, callers_url, stack.push("tried", stack.models.adapters["label-bad"]))
    assert (ended.phase, ended.reason.partition(":")[0]) == ("rolled_back", "votes")
    assert "no share left on 2 routers" in ended.reason


@pytest.mark.anyio
async def test_a_revision_that_refuses_is_rolled_back(stack: Stack, callers_url: str, tmp_path: Path) -> None:
    folder = train_on(taught([REFUSAL]), stack.models, tmp_path / "refusing", steps=60)
    ended = await tried(stack, callers_url, stack.push("tried", folder))
    assert (ended.phase, ended.reason.partition(":")[0] in ("refusals", "votes")) == ("rolled_back", True)


@pytest.mark.anyio
async def test_a_revision_that_leaks_is_rolled_back_and_its_answers_are_cut(
    stack: Stack, callers_url: str, tmp_path: Path
) -> None:
    secrets = [one.answer for one in leaks() if len(one.secrets) == 1][:3]
    folder = train_on(taught(secrets), stack.models, tmp_path / "leaking", steps=80)
    ended = await tried(stack, callers_url, stack.push("tried", folder))
    assert ended.phase == "rolled_back"
    assert ended.reason.partition(":")[0] in ("guards", "votes")


@pytest.mark.anyio
async def test_a_revision_that_is_as_good_becomes_stable_by_itself(
    stack: Stack, callers_url: str, tmp_path: Path
) -> None:
    folder = same_in_other_bytes(stack.models.adapters["label"], tmp_path / "good")
    revision = stack.push("tried", folder)
    ended = await tried(stack, callers_url, revision)
    assert ended.phase == "promoted", ended.reason
    with Registry.open(stack.registry_settings.url.get_secret_value()) as registry:
        assert registry.snapshot().adapters["tried"].number("stable") == ended.number
