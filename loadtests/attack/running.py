"""The run of tries beside bystanders, and the search for the one request, and the fewest fields, behind each
violation."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from itertools import islice

import aiohttp

from loadtests.attack.bystanders import Bystander
from loadtests.attack.sending import Addresses, Sender
from loadtests.attack.tally import Tally
from loadtests.attack.tries import Answer, Try, Violation
from loadtests.attack.watch import Watched, left_running, turns_held
from patchbay.core.errors import PatchbayError

_TOGETHER = 8
_RECOVERY_S = 240.0
_LOOK_S = 0.5
# What a replica that is being started again answers for: the requests that came meanwhile are not at fault.
_UNAVAILABLE = frozenset({0, 502, 503, 504})
ENDED, CHANGED, HELD = "an engine or a replica ended", "a bystander's answer changed", "the router's loop was held"
FAULT, STARVED, GONE = "the server took the blame", "a bystander got no answer", "no replica could be asked"
LEFT = "a request was left running"


class Attack:
    """Runs tries against one Patchbay, beside its bystanders, who must be running. The results go to `tally`.

    `processes`: those that must not end.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        addresses: Addresses,
        processes: Watched,
        bystanders: Sequence[Bystander],
        tally: Tally,
    ) -> None:
        self._session = session
        self._addresses = addresses
        self._sender = Sender(session, addresses)
        self._processes = processes
        self._bystanders = bystanders
        self._tally = tally
        self._before: tuple[Try, ...] = ()
        self._known: set[tuple[str, ...]] = set()

    async def run(self, tries: Iterable[Try], go_on: Callable[[], bool]) -> None:
        """Tries one batch after the other until there are none, or `go_on` says no."""
        left = iter(tries)
        # Some take seconds to make, which bystanders would wait for.
        while go_on() and (batch := await asyncio.to_thread(lambda: tuple(islice(left, _TOGETHER)))):
            await self._batch(batch)
            self._before = batch

    async def _batch(self, batch: tuple[Try, ...]) -> None:
        harm = await self._harm_of(batch)
        for what, detail in harm.items():
            await self._blame(what, detail, (*self._before, *batch))

    async def _harm_of(self, batch: Sequence[Try], *, count: bool = True) -> dict[str, str]:
        """Sends them at once, and says what became of the others."""
        changed, failed = self._sum("changed"), self._sum("failed")
        held = await self._held()
        answers = await asyncio.gather(*(self._sender.send(one) for one in batch))
        # Only who has had an answer since can have noticed anything.
        await asyncio.gather(*(bystander.asks_again(1) for bystander in self._bystanders))
        harm: dict[str, str] = {}
        ended = self._processes.ended()
        if ended:
            harm[ENDED] = f"{ended} processes ended"
            await self._recovered()
        elif self._sum("failed") > failed:
            harm[STARVED] = self._last()
            await self._recovered()
        elif any(answer.status in _UNAVAILABLE and answer.at_fault for answer in answers):
            harm[GONE] = "; ".join(answer.said for answer in answers if answer.at_fault)[:300]
            await self._recovered()
        if self._sum("changed") > changed:
            harm[CHANGED] = self._last()
        if (turns := await self._held() - held) > 0:
            harm[HELD] = f"{turns} turns over 100 ms"
        if count:
            self._count(batch, answers, harm, turns)
        return harm

    def _count(self, batch: Sequence[Try], answers: Sequence[Answer], harm: dict[str, str], turns: int) -> None:
        for one, answer in zip(batch, answers, strict=True):
            self._tally.row(one.kind).note(answer)
            if answer.at_fault and not (harm and answer.status in _UNAVAILABLE):
                self._add(Violation(f"{FAULT}: {answer.status}", one, answer.said))
        row = self._tally.row(batch[-1].kind)
        row.ended += ENDED in harm
        row.changed += CHANGED in harm
        row.held += max(0, turns)

    async def _blame(self, what: str, detail: str, suspects: Sequence[Try]) -> None:
        """Tries each of the suspects alone: the violation is of the one with which it happens again."""
        for one in reversed(suspects):
            if what in await self._alone(one):
                self._add(Violation(what, one, detail, alone=True))
                return
        self._add(
            Violation(f"{what}, and not again", suspects[-1], f"{detail}; among {[one.what for one in suspects]}")
        )

    async def _alone(self, one: Try) -> dict[str, str]:
        return await self._harm_of([one], count=False)

    def _add(self, violation: Violation) -> None:
        kind = (violation.what, violation.by.path, *violation.by.fields, violation.detail[:40])
        if kind not in self._known:
            self._known.add(kind)
            self._tally.violations.append(violation)

    async def smallest(self, violation: Violation) -> Violation:
        """The violation with no field that it does not need, where it is one that happens again at will."""
        one = violation.by
        for name in list(one.fields) if len(one.fields) > 1 else ():
            fewer = one.without(name)
            if await self._same(violation, fewer):
                one = fewer
        return Violation(violation.what, one, violation.detail, violation.alone)

    async def _same(self, violation: Violation, one: Try) -> bool:
        if violation.what.startswith(FAULT):
            return (await self._sender.send(one)).at_fault
        return violation.alone and violation.what in await self._alone(one)

    async def _recovered(self) -> None:
        """Returns once bystanders get answers again. Raises PatchbayError where they never do."""
        loop = asyncio.get_running_loop()
        end_s = loop.time() + _RECOVERY_S
        while loop.time() < end_s:
            failed = self._sum("failed")
            await asyncio.gather(*(bystander.asks_again() for bystander in self._bystanders))
            if self._sum("failed") == failed:
                self._processes.learn()
                return
            await asyncio.sleep(_LOOK_S)
        raise PatchbayError(f"The service did not come back within {_RECOVERY_S:.0f} s: {self._last()}")

    async def _held(self) -> int:
        try:
            return await turns_held(self._session, self._addresses)
        except (aiohttp.ClientError, TimeoutError, OSError):
            return 0

    def _sum(self, what: str) -> int:
        return sum(getattr(bystander, what) for bystander in self._bystanders)

    def _last(self) -> str:
        return "; ".join(f"{one.model}: {one.last}" for one in self._bystanders if one.last)


async def left_violations(session: aiohttp.ClientSession, addresses: Addresses, **how: float) -> list[Violation]:
    """A violation for each replica that still works on something when everybody has gone. `how`: as for
    `left_running`."""
    busy = await left_running(session, addresses, **how)
    return [
        Violation(LEFT, Try("the end", "all of them"), f"{name} works on {count} requests of which nobody waits")
        for name, count in busy.items()
    ]


@asynccontextmanager
async def asking(
    session: aiohttp.ClientSession, url: str, bystanders: Sequence[Bystander], tally: Tally
) -> AsyncIterator[None]:
    """The bystanders, asking for as long as the block runs, after each has learnt its answer alone."""
    for one in bystanders:
        await one.learn(session, url)
    tasks = [asyncio.create_task(one.run(session, url)) for one in bystanders]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        tally.asked += sum(one.answers for one in bystanders)
        tally.unanswered += sum(one.failed for one in bystanders)
