"""The faults of a router's means: the disk, file descriptors, and the reader of its log."""

import asyncio
import contextlib
import random
import resource
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from loadtests.faults.kinds import Fault
from loadtests.faults.routers import RouterProcess, Way
from loadtests.faults.world import World

_FILES, _IDLE = 128, 300
_CONNECT_S = 1.0


@asynccontextmanager
async def _full(world: World, _: random.Random) -> AsyncIterator[None]:
    """No file of a router's can grow: to it, that is a full disk."""
    normal_limits = {router.name: router.means.rlimit(resource.RLIMIT_FSIZE) for router in world.routers}
    for router in world.routers:
        router.means.rlimit(resource.RLIMIT_FSIZE, (0, normal_limits[router.name][1]))
    try:
        yield
    finally:
        for router in world.routers:
            router.means.rlimit(resource.RLIMIT_FSIZE, normal_limits[router.name])


async def _again(router: RouterProcess, way: Way | None = None) -> None:
    await router.end()
    router.start(way)
    await router.ready()


@asynccontextmanager
async def _few_files(world: World, by: random.Random) -> AsyncIterator[None]:
    """A router that may have few file descriptors, and clients who connect and say nothing."""
    router = by.choice(world.routers)
    await _again(router, Way(files=_FILES))
    idle = await asyncio.to_thread(_connect, router.port)
    try:
        yield
    finally:
        for connection in idle:
            connection.close()
        await _again(router)


def _connect(port: int) -> list[socket.socket]:
    made: list[socket.socket] = []
    end_s = time.monotonic() + _IDLE * 0.1
    while len(made) < _IDLE and time.monotonic() < end_s:
        connection = socket.socket()
        connection.settimeout(_CONNECT_S)
        made.append(connection)
        with contextlib.suppress(OSError):
            connection.connect(("127.0.0.1", port))
    return made


@asynccontextmanager
async def _unread(world: World, by: random.Random) -> AsyncIterator[None]:
    """Nobody reads what a router says: its standard error is a pipe that fills."""
    router = by.choice(world.routers)
    await _again(router, Way(unread=True, arguments=("--verbose",)))
    try:
        yield
    finally:
        await router.end()
        router.start()


FAULTS = (
    Fault("disk full", _full, 6.0),
    Fault("file descriptors exhausted", _few_files, 4.0),
    Fault("log that nobody reads", _unread, 10.0),
)
