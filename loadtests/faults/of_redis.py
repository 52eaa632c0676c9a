"""The faults of Redis, in which limits are counted."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

from loadtests.faults.kinds import Fault
from loadtests.faults.world import World
from loadtests.servers import RedisServer


def _redis(world: World) -> RedisServer:
    return cast(RedisServer, world.redis)


@asynccontextmanager
async def _hung(world: World, _: random.Random) -> AsyncIterator[None]:
    _redis(world).hang()
    try:
        yield
    finally:
        _redis(world).thaw()


@asynccontextmanager
async def _killed(world: World, _: random.Random) -> AsyncIterator[None]:
    await asyncio.to_thread(_redis(world).kill)
    # What it had counted is gone, and the next one begins at nothing.
    world.redis_life += 1
    try:
        yield
    finally:
        await asyncio.to_thread(_redis(world).restart)


@asynccontextmanager
async def _restarted(world: World, by: random.Random) -> AsyncIterator[None]:
    async with _killed(world, by):
        pass
    yield


def _has_redis(world: World) -> bool:
    return world.redis is not None


FAULTS = (
    Fault("Redis hung", _hung, 6.0, _has_redis),
    Fault("Redis killed", _killed, 5.0, _has_redis),
    Fault("Redis restarted", _restarted, 3.0, _has_redis),
)
