"""The faults of routers: killed, ended, replaced, with a wrong clock, or with a configuration that is not whole."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from loadtests.faults.kinds import Fault
from loadtests.faults.routers import Way
from loadtests.faults.world import World
from patchbay.core.errors import StartError

_LIBRARY = "libfaketime.so.1"
_READ_S = 1.0
NO_FAKETIME = "libfaketime is not installed (Debian: apt-get install faketime)"


@asynccontextmanager
async def _killed(world: World, by: random.Random) -> AsyncIterator[None]:
    router = by.choice(world.routers)
    world.kill(router)
    try:
        yield
    finally:
        router.start()


@asynccontextmanager
async def _leader_killed(world: World, _: random.Random) -> AsyncIterator[None]:
    leader = await world.leader()
    if leader is None:
        raise StartError("No router leads.")
    world.kill(leader)
    try:
        if await world.leader() is None:
            raise StartError("The leader was killed, and nobody leads in its place.")
        yield
    finally:
        leader.start()


@asynccontextmanager
async def _ended(world: World, by: random.Random) -> AsyncIterator[None]:
    router = by.choice(world.routers)
    await router.end()
    try:
        yield
    finally:
        router.start()


@asynccontextmanager
async def _handed_over(world: World, by: random.Random) -> AsyncIterator[None]:
    """A second router listens on the same port, and the first one ends."""
    place = by.randrange(len(world.routers))
    old = world.routers[place]
    new = old.successor()
    world.handover = True
    try:
        new.start()
        if not await new.ready():
            new.kill()
            raise StartError(f"{old.name}'s successor did not become ready.")
        await old.end()
        new.take_place_of(old)
        world.routers[place] = new
    finally:
        world.handover = False
    yield


def bad_files(good: str) -> dict[str, str]:
    """Configurations that are not what was meant, by what is wrong with each."""
    return {
        "empty": "",
        "half written": good[: good.index("guards:")],
        "cut before guard_all": good[: good.index("guard_all:")],
        "cut before tiers": good[: good.index("tiers:")],
        "guards misspelt": good.replace("guards:", "gards:"),
        "guard_all misspelt": good.replace("guard_all:", "gard_all:"),
        "tiers misspelt": good.replace("tiers:", "tier:"),
        "no YAML": "routes: [\n",
        "not text": "\x00\x01\x02",
    }


@asynccontextmanager
async def _misread(world: World, by: random.Random) -> AsyncIterator[None]:
    kinds = list(bad_files(world.routers[0].good))
    by.shuffle(kinds)
    try:
        for kind in kinds:
            for router in world.routers:
                router.file.write_text(bad_files(router.good)[kind], encoding="utf-8")
                router.hang_up()
            await asyncio.sleep(_READ_S)
        yield
    finally:
        for router in world.routers:
            router.file.write_text(router.good, encoding="utf-8")
            router.hang_up()


def _library() -> Path | None:
    return next(iter(sorted(Path("/usr/lib").glob(f"*/faketime/{_LIBRARY}"))), None)


@asynccontextmanager
async def _ahead(world: World, by: random.Random) -> AsyncIterator[None]:
    """A router whose clock is an hour ahead leads, and dies; another must lead soon after."""
    wrong, other = by.sample(world.routers, 2)
    for router in (wrong, other):
        await router.end()
    hour = {"LD_PRELOAD": str(_library()), "FAKETIME": "+1h", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    wrong.start(Way(env=hour))
    try:
        if await world.leader() is not wrong:
            raise StartError("The router whose clock is ahead does not lead.")
    finally:
        other.start()
    await other.ready()
    world.kill(wrong)
    try:
        if await world.leader(within_s=60) is not other:
            raise StartError("A leader whose clock was ahead died, and nobody leads in its place.")
        yield
    finally:
        wrong.start()


def _no_faketime() -> str | None:
    return None if _library() else NO_FAKETIME


FAULTS = (
    Fault("router killed", _killed, 2.0),
    Fault("leading router killed", _leader_killed, 2.0),
    Fault("router ended under load", _ended, 1.0),
    Fault("router replaced by another", _handed_over, 2.0),
    Fault("configuration not whole", _misread, 2.0),
    Fault("leader's clock an hour ahead", _ahead, 2.0, lacks=_no_faketime),
)
