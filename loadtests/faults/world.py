"""The world of a fault test: a registry, two routers on it, a replica and callers, and what is counted there."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy

from loadtests.faults.callers import NOBODYS_KEY, Callers, Counting, Door, Kind, Seen
from loadtests.faults.databases import Database
from loadtests.faults.replica import TOKEN, Replica
from loadtests.faults.routers import Ended, RouterProcess
from loadtests.servers import RedisServer
from patchbay.core.errors import StartError
from patchbay.core.tenancy import Limits
from patchbay.registry.canary_records import CanaryDraft
from patchbay.registry.records import ChannelChange, RevisionDraft, Scope
from patchbay.registry.registry import Registry
from patchbay.registry.schema import tallies
from patchbay.registry.spool import spool_of
from patchbay.registry.usage_book import UsageBook
from patchbay.router.canary.plan import MetricConfig, PlanConfig, ScopeConfig, StepConfig

LIMIT = 12
_TRIED = "tried"
_ADAPTERS = ("a0", "a1", "a2", "a3", _TRIED)
_ACTOR = "faults"
# What a router has counted and not yet written is lost with it when it is killed: it writes every two seconds.
_UNWRITTEN_S = 6.0
_SETTLE_S = 180.0
_POLL_S = 0.1
_PLAN = PlanConfig(
    steps=(StepConfig(weight=50, hold_s=86_400, samples=10**9),),
    metrics={"errors": MetricConfig(tolerated=100, margin=200, most=0.99)},
    unit="request",
    scope=ScopeConfig(tenant="right"),
)
_POLICY = {
    "routes": {"plain": {"model": "a0"}},
    "guards": {"pii": {"kind": "rules", "sets": ["pii"], "action": "redact"}},
    "guard_all": ["pii"],
    "tiers": {"default": {}, "small": {"limits": {"requests_per_minute": LIMIT}}},
}


@dataclass
class Books:
    """The counts that may be missing from the registry in the end.

    `usage`: of all requests, counts of routers that were killed before they wrote them; `tried`: of those for the
    adapter that is tried, also of routers that could not write them when they were ended.
    """

    usage: int = 0
    tried: int = 0


@dataclass
class World:
    """The world in which faults are made.

    `ends`: how each end of a router went that was asked for; `redis_life`: how often Redis was started; `handover`:
    while one router takes over from another nobody can say which counts.
    """

    name: str
    folder: Path
    database: Database
    redis: RedisServer | None
    replica: Replica
    routers: list[RouterProcess]
    callers: Callers
    canary: int
    ends: list[Ended] = field(default_factory=list)
    redis_life: int = 0
    handover: bool = False
    books: Books = field(default_factory=Books)

    @property
    def seen(self) -> Seen:
        """The answers that callers got so far."""
        return self.callers.seen

    def kill(self, router: RouterProcess, *, unwritten_since_s: float | None = None) -> None:
        """Kills a router (SIGKILL). `unwritten_since_s`: since when it could not write (`time.monotonic`)."""
        router.kill()
        since_s = time.monotonic() if unwritten_since_s is None else unwritten_since_s
        answers, tried = self.seen.answers_of(router.name, since_s - _UNWRITTEN_S)
        self.books.usage += answers
        self.books.tried += tried

    def excuse_tallies(self, router: RouterProcess, since_s: float) -> None:
        """Excuses what `router`, which was ended, has answered since then.

        That may be missing from the canary's tallies alone: usage that it could not write it has left to the next
        router.
        """
        self.books.tried += self.seen.answers_of(router.name, since_s)[1]

    async def leader(self, within_s: float = _SETTLE_S) -> RouterProcess | None:
        """The router that leads, once one does; None where none does in time."""
        end_s = time.monotonic() + within_s
        while time.monotonic() < end_s:
            for router in self.routers:
                if router.running and await router.metric("patchbay_router_reconciling") == 1:
                    return router
            await asyncio.sleep(_POLL_S)
        return None

    async def back(self, within_s: float = _SETTLE_S) -> float | None:
        """Measures how long it takes until every router is ready and has answered the right key anew; None where one
        does not in time."""
        begun_s = time.monotonic()
        before = {router.name: len(self.seen.answered.get(router.name, ())) for router in self.routers}
        for router in self.routers:
            left_s = within_s - (time.monotonic() - begun_s)
            if not await router.ready(left_s) or not await self._answers(
                router, before[router.name], begun_s + within_s
            ):
                return None
        return time.monotonic() - begun_s

    async def _answers(self, router: RouterProcess, before: int, end_s: float) -> bool:
        while len(self.seen.answered.get(router.name, ())) <= before:
            if time.monotonic() > end_s:
                return False
            await asyncio.sleep(_POLL_S)
        return True

    def counting(self, router: RouterProcess) -> Counting | None:
        """Returns the counters that count against limits now."""
        if self.handover:
            return None
        return Counting(router.name, router.life) if self.redis is None else Counting("redis", self.redis_life)

    async def wrong_books(self) -> list[str]:
        """Says what is wrong with what the registry has of usage and of the canary, once all routers have ended."""
        usage, tried, ended = await asyncio.to_thread(self._counted)
        faults = [wrong_count("usage", usage, self.seen.answers(), self.seen.unsure, self.books.usage)]
        if ended is None:
            faults.append(
                wrong_count("tallies", tried, self.seen.answers(tried=True), self.seen.unsure, self.books.tried)
            )
        else:
            faults.append(f"the canary ended: {ended}")
        return [fault for fault in faults if fault]

    def _counted(self) -> tuple[int, int, str | None]:
        with Registry.open(self.database.url) as registry:
            # As the next router would.
            UsageBook(registry.accounts, spool_of(self.database.url)).take_in()
            rows = registry.accounts.usage(since=datetime(2000, 1, 1, tzinfo=UTC), tenant="right")
            record = registry.canaries.get(self.canary)
        engine = sqlalchemy.create_engine(self.database.url.replace("postgresql:", "postgresql+psycopg:"))
        with contextlib.closing(engine.connect()) as connection:
            query = sqlalchemy.select(tallies.c.counts).where(tallies.c.canary == self.canary)
            counts = [row.counts for row in connection.execute(query)]
        engine.dispose()
        tried = sum(row_counts["canary"] + row_counts["other"] for row_counts in counts)
        return sum(row.requests - row.failed for row in rows), tried, None if record.live else record.reason


def wrong_count(what: str, kept: int, answers: int, unsure: int, excused: int) -> str | None:
    """Says what is wrong with `kept` counts of so many `answers`, None where nothing is.

    `unsure`: requests that may have been counted without an answer that was seen; `excused`: counts that may be
    missing.
    """
    if kept < answers - excused:
        return f"{what} lost: {kept} are kept of {answers}, and {excused} may be missing"
    if kept > answers + unsure:
        return f"{what} counted twice: {kept} are kept of {answers}, and of {unsure} nobody knows"
    return None


@asynccontextmanager
async def running_world(name: str, folder: Path, database: Database, redis: RedisServer | None) -> AsyncIterator[World]:
    """A world whose routers are ready and whose callers ask, until the block ends; then its routers are ended, and
    killed where they do not. Raises StartError where it does not come up."""
    replica = Replica()
    await replica.start()
    world = await asyncio.to_thread(_build_world, name, folder, database, redis, replica)
    try:
        for router in world.routers:
            router.start()
        await _come_up(world)
        async with world.callers.asking():
            yield world
        # A router writes the last of what it has counted when it ends.
        for router in world.routers:
            await router.end()
    finally:
        for router in world.routers:
            router.kill()
        await replica.stop()


async def _come_up(world: World) -> None:
    for router in world.routers:
        if not await router.ready():
            raise StartError(f"{router.name} did not become ready; its log: {router.log.read_text()[-600:]}")
    end_s = time.monotonic() + _SETTLE_S
    while await asyncio.to_thread(_phase, world) != "running":
        if time.monotonic() > end_s:
            raise StartError("The canary of this run did not begin.")
        await asyncio.sleep(_POLL_S)
    # Every router has to have seen that.
    await asyncio.sleep(2)


def _phase(world: World) -> str:
    with Registry.open(world.database.url) as registry:
        return registry.canaries.get(world.canary).phase


def _build_world(name: str, folder: Path, database: Database, redis: RedisServer | None, replica: Replica) -> World:
    with Registry.open(database.url) as registry:
        keys = _fill(registry)
        plan = _PLAN.model_dump(mode="json")
        canary = registry.canaries.start(CanaryDraft(adapter=_TRIED, number=2, plan=plan, actor=_ACTOR)).id
    config = {
        "replicas": [{"url": replica.url, "token": TOKEN, "name": replica.name}],
        "registry": {"url": database.url, "artifacts": {"url": str(folder / "artifacts")}, "keep_warm_s": 86_400},
        "canary": {"incidents": str(folder / "incidents")},
        "guard_cache": str(folder / "guards"),
        "reuse_port": True,
        **({"counters": {"redis": redis.url}} if redis else {}),
        **_POLICY,
    }
    ends: list[Ended] = []
    routers = [RouterProcess(f"{name}-{place}", folder, config, ends) for place in range(2)]
    callers = Callers((), keys, _ADAPTERS)
    world = World(name, folder, database, redis, replica, routers, callers, canary, ends)
    callers.doors = tuple(_door(world, place) for place in range(2))
    return world


def _door(world: World, place: int) -> Door:
    router = world.routers[place]
    return Door(router.name, router.url, lambda: world.counting(world.routers[place]))


def _fill(registry: Registry) -> dict[Kind, str]:
    for adapter in _ADAPTERS:
        numbers = (1, 2) if adapter == _TRIED else (1,)
        for number in numbers:
            digest = f"{adapter.encode().hex()}{number:02d}".ljust(64, "0")
            draft = RevisionDraft(
                adapter=adapter, digest=digest, base=None, rank=8, alpha=16.0, targets=("q_proj",), files=()
            )
            registry.push(draft, actor=_ACTOR)
        registry.move(ChannelChange(adapter=adapter, number=1, channel="stable", actor=_ACTOR), expected=None)
    keys: dict[Kind, str] = {"wrong": NOBODYS_KEY}
    kinds: tuple[tuple[Kind, str], ...] = (("right", "default"), ("marked", "default"), ("limited", "small"))
    for kind, tier in kinds:
        registry.accounts.create_tenant(kind, tier=tier, limits=Limits(), actor=_ACTOR)
        keys[kind] = registry.accounts.create_key(kind, Scope(), actor=_ACTOR)[0].text
    return keys
