"""The run of faults, one after the other in a seeded order, and the checks after each."""

import asyncio
import contextlib
import random
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import psutil
import psycopg
import sqlalchemy.exc

from loadtests.faults.databases import PostgresDatabase, SqliteFile
from loadtests.faults.kinds import Fault
from loadtests.faults.routers import ENDS_WITHIN_S, Ended
from loadtests.faults.tally import Count, Tally
from loadtests.faults.world import World, running_world
from loadtests.servers import PostgresServer, RedisServer, has_redis
from patchbay.core.errors import PatchbayError

SQLITE, POSTGRES = "sqlite", "postgres"
_PAUSE_S = (0.5, 2.0)
# What can go wrong when something is broken on purpose: a violation in words, not the end of the run.
_TROUBLE = (PatchbayError, OSError, psutil.Error, psycopg.Error, sqlite3.Error, sqlalchemy.exc.SQLAlchemyError)


def in_order(faults: Sequence[Fault], by: random.Random) -> Iterator[Fault]:
    """All of them in some order, again and again, each time in another."""
    while faults:
        yield from by.sample(faults, len(faults))


async def run_faults(
    name: str, folder: Path, faults: Sequence[Fault], tally: Tally, go_on: Callable[[int], bool]
) -> None:
    """Breaks the world of that name as long as `go_on` says, which is told how many faults there were. What the machine
    lacks is noted as skipped. Raises PatchbayError where the world does not come up."""
    by = random.Random(f"{name} {tally.seed}")  # noqa: S311 - an order that can be had again, not a secret
    with contextlib.ExitStack() as stack:
        database = await asyncio.to_thread(_database, name, folder, stack)
        redis = await asyncio.to_thread(_redis, name, stack)
        async with running_world(name, folder, database, redis) as world:
            usable = _usable(faults, world, tally)
            for count, fault in enumerate(in_order(usable, by)):
                if not go_on(count):
                    break
                await break_by(fault, world, by, tally)
                await asyncio.sleep(by.uniform(*_PAUSE_S))
        await _close(world, tally)


async def break_by(fault: Fault, world: World, by: random.Random, tally: Tally) -> None:
    """Makes one fault in the world, undoes it, waits until all is as before, and notes what was seen meanwhile."""
    before, row, problems = Count.of(world), tally.row(fault.name), list[str]()
    begun_s = time.monotonic()
    try:
        async with fault.broken(world, by):
            await asyncio.sleep(fault.hold_s)
    except _TROUBLE as error:
        problems.append(f"{type(error).__name__}: {error}"[:500])
    back_s = await world.back()
    if back_s is None:
        problems.append("it is over, and not every router answers")
        await _begin_anew(world, begun_s)
    now = Count.of(world)
    row.note(before, now, back_s or 0.0)
    ends = world.ends[before.ends :]
    row.end_s = max([row.end_s, *(end.seconds for end in ends)])
    problems += [*_unheld(before, now), *_wrong_ends(ends)]
    tally.violations += [f"{fault.name} ({world.name}): {problem}" for problem in problems]


def _unheld(before: Count, now: Count) -> Iterator[str]:
    messages = {
        "opened": "answers without a right key",
        "removed": "adapters removed that nobody removed",
        "unredacted": "prompts that no guard redacted",
        "over": "answers beyond a tenant's limit",
    }
    for name, message in messages.items():
        if count := getattr(now, name) - getattr(before, name):
            yield f"{count} {message}"


def _wrong_ends(ends: Sequence[Ended]) -> Iterator[str]:
    for end in ends:
        if end.code is None:
            yield f"{end.router} was asked to end and had not after {ENDS_WITHIN_S:.0f} s"
        elif end.code < 0:
            yield f"{end.router} was asked to end and ended with {end.code}"


async def _begin_anew(world: World, broken_since_s: float) -> None:
    """Both routers from the start, for the faults that follow."""
    for router in world.routers:
        world.kill(router, unwritten_since_s=broken_since_s)
        router.start()
    await world.back()


async def _close(world: World, tally: Tally) -> None:
    """Compares the books, once the routers have ended."""
    problems = [*_wrong_ends(world.ends[-len(world.routers) :]), *await world.wrong_books()]
    tally.violations += [f"in the end ({world.name}): {problem}" for problem in problems]
    tally.answers += world.seen.answers()
    tally.excused += world.books.usage


def _usable(faults: Sequence[Fault], world: World, tally: Tally) -> list[Fault]:
    fitting = [fault for fault in faults if fault.fits(world)]
    tally.skipped |= {fault.name: why for fault in fitting if (why := fault.lacks()) is not None}
    return [fault for fault in fitting if fault.name not in tally.skipped]


def _database(name: str, folder: Path, stack: contextlib.ExitStack) -> SqliteFile | PostgresDatabase:
    folder.mkdir(parents=True, exist_ok=True)
    if name == SQLITE:
        return SqliteFile(folder)
    server = PostgresServer()
    stack.callback(server.end)
    return PostgresDatabase(server, "faults")


def _redis(name: str, stack: contextlib.ExitStack) -> RedisServer | None:
    """With PostgreSQL, where it is installed: routers that share a file count each for themselves."""
    if name == SQLITE or not has_redis():
        return None
    server = RedisServer()
    stack.callback(server.end)
    return server
