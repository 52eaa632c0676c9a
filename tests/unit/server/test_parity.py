"""A replica's check of parity: when it scores, what becomes of an adapter that fails it, and what it costs others."""

import asyncio
from pathlib import Path

import pytest

from patchbay.adapters.checks.folder import DEFAULT_LIMITS
from patchbay.adapters.contents import PARITY_FILE
from patchbay.adapters.parity.file import ParityFile
from patchbay.core.errors import AdapterRejected
from patchbay.server.metrics import ServerMetrics
from patchbay.server.parity import ParityCheck, ParityMode, ParityRules, within_budget
from patchbay.server.slots import SlotEntry, Slots
from tests.fakes.adapter_folder import write_adapter
from tests.fakes.artifacts import staged
from tests.fakes.lora_engine import FakeLoraEngine
from tests.fakes.parity_files import ROWS, parity_file, parity_row, write_parity_file

pytestmark = pytest.mark.anyio


class House:
    """Slots over a fake engine that checks parity, with one adapter that carries rows."""

    def __init__(self, folder: Path, *, mode: ParityMode = "refuse", time_limit_s: float = 60) -> None:
        self.engine = FakeLoraEngine()
        self.metrics = ServerMetrics()
        rules = ParityRules(mode, DEFAULT_LIMITS, time_limit_s=time_limit_s)
        check = ParityCheck(self.engine.scorer, rules, self.metrics)
        self.slots = Slots(self.engine, wait_s=0.05, metrics=self.metrics, prove=check.prove)
        self.folder = folder

    def declare(self, name: str, fill: int = 1, *, rows: int = ROWS) -> SlotEntry:
        source = write_adapter(self.folder / f"{name}-{fill}", fill=fill)
        if rows:
            self.teach(write_parity_file(source, rows=tuple(map(parity_row, range(rows)))))
        return self.slots.declare(name, 1, staged(source))

    def teach(self, file: ParityFile, *, times: float = 1.0) -> None:
        """Makes the engine answer the file's rows, moved by the adapter so many times as far as they were."""
        for row in file.rows:
            self.engine.scorer.plain[row.ids] = row.plain
            moved = zip(row.plain, row.adapted, strict=True)
            self.engine.scorer.adapted[row.ids] = tuple(plain + times * (adapted - plain) for plain, adapted in moved)


async def test_an_adapter_without_rows_is_scored(tmp_path: Path) -> None:
    house = House(tmp_path)
    entry = house.declare("sql", rows=0)
    await house.slots.load(entry)
    assert entry.state == "resident"
    assert (entry.parity, house.engine.scorer.scored) == (None, [])


async def test_a_sound_adapter_is_not_scored_once_with_and_once_without_itself(tmp_path: Path) -> None:
    house = House(tmp_path)
    entry = house.declare("sql")
    await house.slots.load(entry)
    assert (entry.parity or "").startswith(f"parity: {ROWS} rows, 20 tokens, 0.000 nats apart")
    assert sorted(house.engine.scorer.scored, key=str) == sorted(
        [(parity_row(row).ids, name) for row in range(ROWS) for name in (None, entry.engine_name)], key=str
    )


async def test_a_revision_that_was_evicted_is_scored_again(tmp_path: Path) -> None:
    house = House(tmp_path)
    first = house.declare("sql")
    await house.slots.load(first)
    for name in ("a", "b", "c"):
        await house.slots.load(house.declare(name, rows=0))
    assert first.lora is None
    house.engine.scorer.scored.clear()
    await house.slots.load(first)
    assert first.state == "resident"
    assert house.engine.scorer.scored == []


@pytest.mark.parametrize(("times", "cause"), [(1.5, "scale"), (0.0, "modules"), (-1.0, "weights")])
async def test_an_adapter_that_differs_stays_in_the_engine_or_does_not_say_why(
    tmp_path: Path, times: float, cause: str
) -> None:
    house = House(tmp_path)
    entry = house.declare("sql")
    house.teach(parity_file(), times=times)
    with pytest.raises(AdapterRejected, match=f": {cause}: "):
        await house.slots.load(entry)
    assert entry.state == "failed"
    assert house.engine.loaded == {}
    with pytest.raises(AdapterRejected, match="does not serve as it was trained"):
        async with house.slots.hold(entry):
            pass


async def test_a_warning_refuses(tmp_path: Path) -> None:
    house = House(tmp_path, mode="warn")
    entry = house.declare("sql")
    house.teach(parity_file(), times=1.5)
    await house.slots.load(entry)
    assert entry.state == "resident"
    assert ": scale: " in (entry.parity or "")


async def test_a_check_that_is_off_scores(tmp_path: Path) -> None:
    house = House(tmp_path, mode="off")
    entry = house.declare("sql")
    house.teach(parity_file(), times=0)
    await house.slots.load(entry)
    assert (entry.state, house.engine.scorer.scored) == ("resident", [])


@pytest.mark.parametrize(("rows", "words"), [(ROWS, "not proven: the engine was too busy"), (6, "parity: 4 rows")])
async def test_an_engine_that_is_busy_refuses_a_good_adapter(tmp_path: Path, rows: int, words: str) -> None:
    """Four rows of six are done in time, of four only two."""
    house = House(tmp_path, time_limit_s=0.1)
    entry = house.declare("sql", rows=rows)
    house.engine.scorer.most = 4 if rows == ROWS else 8
    await house.slots.load(entry)
    assert entry.state == "resident"
    assert (entry.parity or "").startswith(words)


async def test_a_request_gets_an_adapter_that_is_not_proven_yet(tmp_path: Path) -> None:
    house = House(tmp_path)
    entry = house.declare("sql")
    house.engine.scorer.gate.clear()
    users = [asyncio.create_task(house.slots.load(entry)) for _ in range(3)]
    await house.engine.scorer.asked.wait()
    late = asyncio.create_task(house.slots.load(entry))
    await asyncio.sleep(0.01)
    assert [entry.state for entry in house.slots.entries] == ["loading"]
    assert not any(task.done() for task in (*users, late))
    # Another adapter is loaded meanwhile.
    await house.slots.load(house.declare("other", rows=0))
    house.engine.scorer.gate.set()
    await asyncio.gather(*users, late)
    assert entry.state == "resident"


async def test_a_file_that_is_none_ends_more_than_its_own_load(tmp_path: Path) -> None:
    house = House(tmp_path)
    source = write_adapter(tmp_path / "odd")
    (source / PARITY_FILE).write_text('{"version": 1, "rows": "many"}')
    with pytest.raises(AdapterRejected, match="rows must be a list"):
        await house.slots.load(house.slots.declare("odd", 1, staged(source)))
    await house.slots.load(house.declare("sql"))
    assert len(house.engine.loaded) == 1


def test_rows_beyond_the_budget_are_scored() -> None:
    rows = tuple(map(parity_row, range(5)))
    assert within_budget(rows, 14) == rows[:2]
    assert within_budget(rows, 1) == rows[:1]
    assert within_budget(rows, 1000) == rows
