"""The callers of a fault test: they ask all the time, each of a kind, and count what they get."""

import asyncio
import contextlib
import itertools
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal

import aiohttp

from loadtests.faults.replica import MARK

# With a key; with one that nobody has; without one; of a tenant with a limit; with a prompt that is redacted.
Kind = Literal["right", "wrong", "none", "limited", "marked"]
KINDS: tuple[Kind, ...] = ("right", "wrong", "none", "limited", "marked")
OUTSIDE = ("wrong", "none")
NOBODYS_KEY = "pb-" + "a" * 12 + "-" + "b" * 43
_PATH = "/v1/chat/completions"
_WAIT_S = 20.0
_PAUSE_S = 0.1
_MINUTE_S = 60


@dataclass(frozen=True, slots=True)
class Counting:
    """The owner of the counters that a request is counted by: a router, or Redis, and which life of it."""

    who: str
    life: int


@dataclass
class Seen:
    """The answers that callers got.

    `outcomes`: by kind and outcome; `answered`: when each answer to the right key came, by router and whether it was of
    the adapter that is tried (`time.monotonic`); `unsure`: requests of the right key that ended without an answer, or
    in a 5xx; `of_minute`: answers to the limited tenant.
    """

    outcomes: Counter[tuple[Kind, str]] = field(default_factory=Counter)
    answered: dict[str, list[tuple[float, bool]]] = field(default_factory=dict)
    unsure: int = 0
    of_minute: Counter[tuple[Counting, int]] = field(default_factory=Counter)

    def got(self, *kinds: Kind, outcome: str = "answered") -> int:
        """Counts the requests of these kinds that had that outcome."""
        return sum(self.outcomes[kind, outcome] for kind in kinds)

    @property
    def asked(self) -> int:
        """All requests that have ended."""
        return self.outcomes.total()

    def over(self, limit: int) -> int:
        """Counts the answers that the limited tenant got beyond its limit, whichever router counted."""
        return sum(max(0, count - limit) for count in self.of_minute.values())

    def answers(self, *, tried: bool | None = None) -> int:
        """Answers to the right key; only those of the adapter that is tried, or of the others, where that is said."""
        all_ = itertools.chain.from_iterable(self.answered.values())
        return sum(tried is None or of_tried == tried for _, of_tried in all_)

    def answers_of(self, router: str, since_s: float) -> tuple[int, int]:
        """Of `router` since then: all answers to the right key, and those of the adapter that is tried."""
        found = [tried for at_s, tried in self.answered.get(router, ()) if at_s >= since_s]
        return len(found), sum(found)


@dataclass(frozen=True, slots=True)
class Door:
    """The address at which a caller asks. `counting`: whose counters count now, None while nobody can say."""

    name: str
    url: str
    counting: Callable[[], Counting | None]


@dataclass
class Callers:
    """Asks as one caller of each kind at each of `doors`.

    `keys`: by kind; `adapters`: what is asked for, the last one is tried.
    """

    doors: Sequence[Door]
    keys: dict[Kind, str]
    adapters: Sequence[str]
    seen: Seen = field(default_factory=Seen)

    @asynccontextmanager
    async def asking(self) -> AsyncIterator[Seen]:
        """They ask until the block ends, and end what they have begun."""
        over = asyncio.Event()
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(_WAIT_S)) as session:
            loops = [
                asyncio.create_task(self._loop(session, door, kind, over)) for door in self.doors for kind in KINDS
            ]
            try:
                yield self.seen
            finally:
                over.set()
                await asyncio.gather(*loops)

    async def _loop(self, session: aiohttp.ClientSession, door: Door, kind: Kind, over: asyncio.Event) -> None:
        for adapter in itertools.cycle(self.adapters):
            if over.is_set():
                return
            await self._ask(session, door, kind, adapter)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), _PAUSE_S)

    async def _ask(self, session: aiohttp.ClientSession, door: Door, kind: Kind, adapter: str) -> None:
        text = f"write to {MARK}" if kind == "marked" else "hi"
        body = {"model": adapter, "max_tokens": 4, "messages": [{"role": "user", "content": text}]}
        headers = {"authorization": f"Bearer {self.keys[kind]}"} if kind in self.keys else {}
        counting, minute = door.counting(), _minute()
        try:
            async with session.post(door.url + _PATH, json=body, headers=headers) as answer:
                await answer.read()
                outcome = _outcome(answer.status)
        except (aiohttp.ClientError, TimeoutError):
            outcome = "gone"
        self.seen.outcomes[kind, outcome] += 1
        if kind == "right":
            self._note(door, outcome, tried=adapter == self.adapters[-1])
        # One that began in another minute, or under other counters, may belong to either.
        now = door.counting()
        if (kind, outcome) == ("limited", "answered") and now is not None and (now, _minute()) == (counting, minute):
            self.seen.of_minute[now, minute] += 1

    def _note(self, door: Door, outcome: str, *, tried: bool) -> None:
        if outcome == "answered":
            self.seen.answered.setdefault(door.name, []).append((time.monotonic(), tried))
        elif outcome != "refused":
            self.seen.unsure += 1


def _outcome(status: int) -> str:
    if status < 400:
        return "answered"
    return "refused" if status < 500 else "unavailable"


def _minute() -> int:
    return int(time.time() // _MINUTE_S)
