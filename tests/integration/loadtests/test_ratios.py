import asyncio

import pytest

from loadtests.ratios.asking import Load, Place, first_token_s, overlap, tokens_per_s, worst_gap_s
from loadtests.ratios.ways import Stack
from patchbay.core.errors import PatchbayError
from tests.fakes.engine import TOKEN, FakeEngine, revision
from tests.fakes.routers import running_router

pytestmark = pytest.mark.anyio


def engine() -> FakeEngine:
    return FakeEngine(revisions=(revision("sql"), revision("label", state="declared")))


async def test_throughput_is_of_the_models_that_were_asked_for_alone() -> None:
    fake = engine()
    fake.script.delay_s = 0.005
    async with running_router(fake) as router:
        found = await tokens_per_s(Place(router.url), ["sql"], [1.0], Load(streams=2, seconds=0.5))
    assert found > 0
    assert {seen.json["model"] for seen in fake.seen} == {"sql"}


@pytest.mark.parametrize(
    ("span", "share"), [((0, 1), 0), ((1, 3), 0.5), ((2, 3), 1), ((3, 5), 0.5), ((1, 5), 0.5), ((4, 5), 0)]
)
def test_of_an_answer_that_is_partly_in_the_time_that_counts_that_part_counts(
    span: tuple[float, float], share: float
) -> None:
    assert overlap(span, (2, 4)) == share


async def test_a_request_that_fails_spoils_the_measurement() -> None:
    async with running_router(engine()) as router:
        with pytest.raises(PatchbayError, match="404"):
            await first_token_s(Place(router.url), "no-such-model")


async def test_the_worst_gap_is_the_longest_of_all_streams_while_something_happens() -> None:
    fake, happened = engine(), asyncio.Event()
    fake.script.chunks, fake.script.delays = 6, (0.05, 0.05, 0.05, 0.3)

    async def meanwhile() -> None:
        happened.set()

    async with running_router(fake) as router, asyncio.timeout(20):
        assert await worst_gap_s(Place(router.url), "sql", 6, meanwhile) >= 0.25
    assert happened.is_set()


async def test_only_what_no_memory_holds_is_started_cold() -> None:
    fake = engine()
    async with fake.running_server():
        place = Place(fake.url, {"authorization": f"Bearer {TOKEN}"})
        assert await asyncio.to_thread(Stack(place, place).on_disk) == ["label"]
