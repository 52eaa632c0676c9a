"""Faults of a registry's file and of the routers on it: what protects holds, and a run says so where it does not."""

import asyncio
import random
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path

import aiohttp
import pytest

from loadtests.faults.commands import broken, chosen_faults
from loadtests.faults.kinds import Fault
from loadtests.faults.of_databases import restarted
from loadtests.faults.replica import MARK
from loadtests.faults.running import SQLITE
from loadtests.faults.tally import Tally
from loadtests.faults.world import World

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(600)]
SHORT = (
    "database locked",
    "router started, registry unreadable",
    "configuration not whole",
    "disk full",
    "router killed",
)


async def test_faults_of_a_file_and_of_routers_open_nothing_remove_nothing_and_lose_nothing(tmp_path: Path) -> None:
    chosen = [one for one in chosen_faults(SHORT) if one.name in SHORT]
    tally = Tally(seed=7)
    await broken(chosen, [SQLITE], tmp_path, tally, lambda done: done < len(chosen))
    assert tally.violations == []
    assert {name: row.times for name, row in tally.rows.items()} == {one.name: 1 for one in chosen}
    assert min(row.answered for row in tally.rows.values()) > 0
    assert tally.answers > tally.excused


@asynccontextmanager
async def harm(world: World, _: random.Random) -> AsyncIterator[None]:
    """What no router does: an adapter is removed, a prompt comes as it was written, and usage is taken away."""
    async with aiohttp.ClientSession(world.replica.url) as session:
        async with session.delete("/internal/adapters/a0@1"):
            pass
        async with session.post("/v1/chat/completions", json={"model": "a1", "messages": [MARK]}):
            pass
    with closing(sqlite3.connect(world.database.url.removeprefix("sqlite:///"), timeout=60)) as database:
        while not database.execute("UPDATE usage SET requests = failed WHERE requests > failed").rowcount:
            database.rollback()
            await asyncio.sleep(0.1)
        database.commit()
    yield


@contextmanager
def locked_for_long(world: World) -> Iterator[None]:
    """The file is locked, and some answers are given that nobody can write."""
    with world.database.locked():
        answered = world.seen.answers()
        while world.seen.answers() < answered + 8:
            time.sleep(0.05)
        yield


@asynccontextmanager
async def spool_taken(world: World, _: random.Random) -> AsyncIterator[None]:
    """What a router that is ended while the file is locked leaves to the next one is taken away."""
    async with restarted(world, locked_for_long(world)):
        for left in _spool(world):
            left.unlink()
        yield


def _spool(world: World) -> list[Path]:
    return list(Path(f"{world.database.url.removeprefix('sqlite:///')}.spool").iterdir())


async def test_usage_of_a_router_that_was_ended_is_not_excused(tmp_path: Path) -> None:
    tally = Tally()
    await broken([Fault("spool taken", spool_taken, 0.5)], [SQLITE], tmp_path, tally, lambda done: done < 1)
    assert tally.excused == 0
    assert [one for one in tally.violations if "in the end (sqlite): usage lost" in one]


async def test_a_run_says_what_did_not_hold(tmp_path: Path) -> None:
    tally = Tally()
    await broken([Fault("harm", harm, 0.5)], [SQLITE], tmp_path, tally, lambda done: done < 1)
    told = "\n".join(tally.violations)
    assert "harm (sqlite): 1 adapters removed that nobody removed" in told
    assert "harm (sqlite): 1 prompts that no guard redacted" in told
    assert "in the end (sqlite): usage lost" in told
