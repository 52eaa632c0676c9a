"""The faults of the registry's database."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager
from typing import cast

from loadtests.faults.databases import PostgresDatabase, SqliteFile
from loadtests.faults.kinds import Broken, Fault
from loadtests.faults.world import World

# A server that says nothing is given up after ten seconds.
_HUNG_S, _HELD_S, _SHORT_S = 14.0, 6.0, 4.0
_CUTS = 3


def _file(world: World) -> SqliteFile:
    return cast(SqliteFile, world.database)


def _server(world: World) -> PostgresDatabase:
    return cast(PostgresDatabase, world.database)


@asynccontextmanager
async def _held(block: AbstractContextManager[None]) -> AsyncIterator[None]:
    """`block`, entered and left in a thread: it may wait for the database."""
    await asyncio.to_thread(block.__enter__)
    try:
        yield
    finally:
        await asyncio.to_thread(block.__exit__, None, None, None)


def _locked(world: World, _: random.Random) -> Broken:
    return _held(world.database.locked())


@asynccontextmanager
async def restarted(world: World, block: AbstractContextManager[None]) -> AsyncIterator[None]:
    """A router ends and starts again while the registry is broken."""
    async with _held(block):
        begun_s, router = time.monotonic(), world.routers[0]
        await router.end()
        world.excuse_tallies(router, begun_s)
        router.start()
        yield


def _started_unreadable(world: World, _: random.Random) -> Broken:
    return restarted(world, world.database.unreadable())


def _started_locked(world: World, _: random.Random) -> Broken:
    return restarted(world, world.database.locked())


def _damaged(world: World, by: random.Random) -> Broken:
    return restarted(world, _file(world).damaged(by.choice(SqliteFile.tables())))


def _replaced(*, by_empty: bool) -> Callable[[World, random.Random], Broken]:
    return lambda world, _: _held(_file(world).replaced(by_empty=by_empty))


@asynccontextmanager
async def _hung(world: World, _: random.Random) -> AsyncIterator[None]:
    _server(world).server.hang()
    try:
        yield
    finally:
        _server(world).server.thaw()


@asynccontextmanager
async def _ended_while_hung(world: World, by: random.Random) -> AsyncIterator[None]:
    """A router is asked to end while the database says nothing."""
    router, begun_s = by.choice(world.routers), time.monotonic()
    async with _hung(world, by):
        # Until the next write is under way.
        await asyncio.sleep(3)
        await router.end()
        world.excuse_tallies(router, begun_s)
        yield
    router.start()


@asynccontextmanager
async def _cut(world: World, by: random.Random) -> AsyncIterator[None]:
    for _ in range(_CUTS):
        await asyncio.to_thread(_server(world).cut)
        await asyncio.sleep(by.uniform(0.2, 1.5))
    yield


@asynccontextmanager
async def _killed(world: World, _: random.Random) -> AsyncIterator[None]:
    server = _server(world).server
    await asyncio.to_thread(server.kill)
    try:
        yield
    finally:
        await asyncio.to_thread(server.restart)


@asynccontextmanager
async def _killed_after_a_start(world: World, by: random.Random) -> AsyncIterator[None]:
    """A router starts, and its database is gone before it has read all."""
    router = world.routers[0]
    await router.end()
    router.start()
    await asyncio.sleep(by.uniform(0.5, 2.5))
    async with _killed(world, by):
        yield
    # One that had not come so far as to reach it has ended and said so: whoever keeps routers starts it again.
    if not router.running:
        router.start()


def _is_file(world: World) -> bool:
    return isinstance(world.database, SqliteFile)


def _is_server(world: World) -> bool:
    return isinstance(world.database, PostgresDatabase)


FAULTS = (
    Fault("database locked", _locked, _HELD_S),
    Fault("router started, database locked", _started_locked, _HELD_S),
    Fault("router started, registry unreadable", _started_unreadable, _HELD_S),
    Fault("database hung", _hung, _HUNG_S, _is_server),
    Fault("router ended, database hung", _ended_while_hung, _SHORT_S, _is_server),
    Fault("database's connections cut", _cut, 1.0, _is_server),
    Fault("database killed and restarted", _killed, _SHORT_S, _is_server),
    Fault("router started, database killed", _killed_after_a_start, _HELD_S, _is_server),
    Fault("page of the file overwritten", _damaged, _HELD_S, _is_file),
    Fault("file replaced by an empty one", _replaced(by_empty=True), _HELD_S, _is_file),
    Fault("file deleted", _replaced(by_empty=False), _HELD_S, _is_file),
)
