"""What is said of the engine's revisions is what the engine holds, and it is asked only when that can have changed."""

import asyncio
import contextlib

import pytest

from patchbay.server.engine import LoraTiers
from patchbay.server.tiers import KnownTiers

pytestmark = pytest.mark.anyio


class Workers:
    """Workers that hold revisions, and count how often they are asked."""

    def __init__(self) -> None:
        self.held: set[int] = {1, 2, 3}
        self.steps = 0
        self.asked = 0

    async def ask(self) -> LoraTiers:
        self.asked += 1
        held = frozenset(self.held)
        await asyncio.sleep(0)
        return LoraTiers(cpu=held, slots=held)


async def test_a_poll_in_the_middle_of_a_load_that_fails_does_not_leave_its_place_taken() -> None:
    workers = Workers()
    known = KnownTiers(workers.ask, lambda: workers.steps)
    with contextlib.suppress(RuntimeError), known.changing():
        workers.held.add(4)
        assert len((await known.read()).cpu) == 4
        workers.held.remove(4)
        raise RuntimeError("its weights do not fit into the slot")
    assert len((await known.read()).cpu) == 3


async def test_an_answer_that_comes_after_the_change_that_it_does_not_know_of_is_not_kept() -> None:
    workers = Workers()
    known = KnownTiers(workers.ask, lambda: workers.steps)
    late = asyncio.create_task(known.read())
    await asyncio.sleep(0)
    with known.changing():
        workers.held.add(4)
    await late
    assert 4 in (await known.read()).cpu


async def test_an_idle_engine_is_asked_once_and_again_after_a_step() -> None:
    workers = Workers()
    known = KnownTiers(workers.ask, lambda: workers.steps)
    for _ in range(3):
        await known.read()
    assert workers.asked == 1
    workers.steps += 1
    await known.read()
    assert workers.asked == 2
