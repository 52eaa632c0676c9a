"""Slots: what must hold of loads, references, evictions and removals."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from patchbay.core.errors import AdapterRejected, Conflict, ModelNotFound, Unavailable
from patchbay.server.metrics import ServerMetrics
from patchbay.server.slots import FAILURE_MEMORY_S, SlotEntry, Slots
from tests.fakes.adapter_folder import write_adapter
from tests.fakes.artifacts import staged
from tests.fakes.lora_engine import FakeLoraEngine

pytestmark = pytest.mark.anyio
Declare = Callable[..., SlotEntry]


class Clock:
    """A clock that moves only when told."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        self.now += 0.001
        return self.now


class House:
    """Slots over a fake engine, with adapters that are written as they are declared."""

    def __init__(self, folder: Path) -> None:
        self.engine = FakeLoraEngine()
        self.clock = Clock()
        self.metrics = ServerMetrics()
        self.slots = Slots(self.engine, wait_s=0.05, metrics=self.metrics, clock=self.clock)
        self._folder = folder

    def declare(self, name: str, number: int = 1, fill: int = 1) -> SlotEntry:
        source = write_adapter(self._folder / f"{name}-{number}-{fill}", fill=fill)
        return self.slots.declare(name, number, staged(source))


@pytest.fixture
async def house(tmp_path: Path) -> House:
    return House(tmp_path)


async def test_two_requests_for_a_cold_adapter_load_it_once(house: House) -> None:
    entry = house.declare("sql")
    house.engine.gate.clear()

    async def use() -> int:
        async with house.slots.hold(entry) as lora:
            return lora.lora_id

    users = [asyncio.create_task(use()) for _ in range(8)]
    await asyncio.sleep(0.01)
    house.engine.gate.set()
    assert len(set(await asyncio.gather(*users))) == 1
    assert house.engine.names_loaded[entry.engine_name] == 1


async def test_a_client_that_leaves_during_a_load_does_not_take_it_from_the_others(house: House) -> None:
    entry = house.declare("sql")
    house.engine.gate.clear()
    first = asyncio.create_task(house.slots.load(entry))
    second = asyncio.create_task(house.slots.load(entry))
    await asyncio.sleep(0.01)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    house.engine.gate.set()
    await second
    assert entry.state == "resident"
    assert entry.references == 0


async def test_the_least_recently_used_one_is_evicted_and_comes_back_under_a_new_id(house: House) -> None:
    entries = [house.declare(name) for name in ("a", "b", "c")]
    for entry in entries:
        await house.slots.load(entry)
    async with house.slots.hold(entries[0]) as lora:
        first_id = lora.lora_id
    await house.slots.load(house.declare("d"))
    assert [entry.state for entry in entries] == ["resident", "declared", "resident"]
    async with house.slots.hold(entries[1]) as lora:
        assert lora.lora_id > first_id
    assert entries[2].state == "declared"


async def test_what_is_in_use_is_never_evicted_and_the_newcomer_is_told_to_come_again(house: House) -> None:
    held = [house.declare(name) for name in ("a", "b", "c")]
    late = house.declare("d")
    async with house.slots.hold(held[0]), house.slots.hold(held[1]), house.slots.hold(held[2]):
        with pytest.raises(Unavailable, match="places for adapters"):
            await house.slots.load(late)
    await house.slots.load(late)
    assert late.state == "resident"


async def test_a_newcomer_gets_the_place_that_is_freed_while_it_waits(house: House) -> None:
    house.slots._wait_s = 10  # noqa: SLF001
    held = [house.declare(name) for name in ("a", "b", "c")]
    late = house.declare("d")
    async with house.slots.hold(held[0]), house.slots.hold(held[1]):
        async with house.slots.hold(held[2]):
            waiting = asyncio.create_task(house.slots.load(late))
            await asyncio.sleep(0.01)
            assert not waiting.done()
        await waiting
    assert held[2].state == "declared"


async def test_what_the_engine_still_runs_is_not_evicted_although_nobody_holds_it(house: House) -> None:
    entries = [house.declare(name) for name in ("a", "b", "c")]
    for entry in entries:
        await house.slots.load(entry)
    house.engine.busy[entries[0].engine_name] += 1
    await house.slots.load(house.declare("d"))
    assert entries[0].state == "resident"
    assert entries[1].state == "declared"


async def test_a_broken_adapter_fails_its_own_requests_and_no_others(house: House) -> None:
    good, bad = house.declare("good"), house.declare("bad")
    house.engine.broken.add("bad")
    with pytest.raises(AdapterRejected):
        await house.slots.load(bad)
    assert bad.state == "failed"
    await house.slots.load(good)
    assert good.state == "resident"


async def test_a_failure_is_remembered_for_a_while_and_then_tried_again(house: House) -> None:
    bad = house.declare("bad")
    house.engine.broken.add("bad")
    for _ in range(3):
        with pytest.raises(AdapterRejected):
            await house.slots.load(bad)
    assert len(house.engine.ids_seen) == 1
    house.engine.broken.clear()
    house.clock.now += FAILURE_MEMORY_S
    await house.slots.load(bad)
    assert bad.state == "resident"


async def test_removal_waits_for_those_that_hold_it_and_takes_no_new_ones(house: House) -> None:
    entry = house.declare("sql")
    async with house.slots.hold(entry):
        removal = asyncio.create_task(house.slots.remove(entry))
        await asyncio.sleep(0.01)
        assert not removal.done()
        assert entry.state == "draining"
        assert house.engine.loaded
        with pytest.raises(ModelNotFound):
            house.slots.find("sql")
    await removal
    assert not house.engine.loaded
    assert house.slots.entries == ()


async def test_a_removed_revision_can_be_declared_again(house: House) -> None:
    entry = house.declare("sql")
    await house.slots.load(entry)
    await house.slots.remove(entry)
    again = house.declare("sql")
    await house.slots.load(again)
    assert again.state == "resident"


async def test_a_number_never_comes_to_mean_other_bytes(house: House) -> None:
    first = house.declare("sql", fill=1)
    assert house.declare("sql", fill=1) is first
    with pytest.raises(Conflict, match="never"):
        house.declare("sql", fill=2)


async def test_a_bare_name_means_the_highest_number_and_a_pin_means_itself(house: House) -> None:
    house.declare("sql", 2, fill=2)
    tenth = house.declare("sql", 10, fill=3)
    assert house.slots.find("sql") is tenth
    assert house.slots.find("sql@2").number == 2
    assert house.slots.find(tenth.engine_name) is tenth
    for unknown in ("sql@3", "sql@2-000000000000", "other", "../sql", "/etc/passwd", ""):
        with pytest.raises(ModelNotFound):
            house.slots.find(unknown)


async def test_a_revision_that_is_not_finite_is_never_served_again_and_leaves_the_engine(house: House) -> None:
    entry, other = house.declare("sql"), house.declare("json")
    await house.slots.load(other)
    async with house.slots.hold(entry):
        house.slots.not_finite(entry.engine_name)
        house.slots.not_finite(entry.engine_name)
        assert (entry.state, entry.lora is not None) == ("failed", True)
    house.clock.now += 10 * FAILURE_MEMORY_S
    with pytest.raises(AdapterRejected, match=r"sql@1 is quarantined: .* not finite"):
        await house.slots.load(entry)
    async with asyncio.timeout(10):
        while len(house.engine.loaded) > 1:
            await asyncio.sleep(0)
    assert [lora.name for lora in house.engine.loaded.values()] == [other.engine_name]
    assert "quarantines_total 1.0" in house.metrics.render().decode()
    assert 'not_finite_total{of="adapter"} 2.0' in house.metrics.render().decode()


async def test_a_base_that_is_not_finite_quarantines_no_revision(house: House) -> None:
    entry = house.declare("sql")
    house.slots.not_finite(None)
    await house.slots.load(entry)
    assert 'not_finite_total{of="base"} 1.0' in house.metrics.render().decode()
