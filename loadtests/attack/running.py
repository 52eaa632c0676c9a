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
_POLL_S = 0.5
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
            await self._find_culprit(what, detail, (*self._before, *batch))

    async def _harm_of(self, batch: Sequence[Try], *, count: bool = True) -> dict[str, str]:
        """Sends them at once, and says what became of the others."""
        changed, failed = self._total("changed"), self._total("failed")
        held = await self._held()
        answers = await asyncio.gather(*(self._sender.send(attempt) for attempt in batch))
        # Only who has had an answer since can have noticed anything.
        await asyncio.gather(*(bystander.asks_again(1) for bystander in self._bystanders))
        harm: dict[str, str] = {}
        ended = self._processes.ended()
        if ended:
            harm[ENDED] = f"{ended} processes ended"
            await self._recovered()
        elif self._total("failed") > failed:
            harm[STARVED] = self._last_faults()
            await self._recovered()
        elif any(answer.status in _UNAVAILABLE and answer.at_fault for answer in answers):
            harm[GONE] = "; ".join(answer.detail for answer in answers if answer.at_fault)[:300]
            await self._recovered()
        if self._total("changed") > changed:
            harm[CHANGED] = self._last_faults()
        if (turns := await self._held() - held) > 0:
            harm[HELD] = f"{turns} turns over 100 ms"
        if count:
            self._count(batch, answers, harm, turns)
        return harm

    def _count(self, batch: Sequence[Try], answers: Sequence[Answer], harm: dict[str, str], turns: int) -> None:
        for attempt, answer in zip(batch, answers, strict=True):
            self._tally.row(attempt.kind).note(answer)
            if answer.at_fault and not (harm and answer.status in _UNAVAILABLE):
                self._add(Violation(f"{FAULT}: {answer.status}", attempt, answer.detail))
        row = self._tally.row(batch[-1].kind)
        row.ended += ENDED in harm
        row.changed += CHANGED in harm
        row.held += max(0, turns)

    async def _find_culprit(self, what: str, detail: str, suspects: Sequence[Try]) -> None:
        """Tries each of the suspects alone: the violation is of the one with which it happens again."""
        for suspect in reversed(suspects):
            if what in await self._harm_alone(suspect):
                self._add(Violation(what, suspect, detail, alone=True))
                return
        self._add(
            Violation(
                f"{what}, and not again", suspects[-1], f"{detail}; among {[suspect.what for suspect in suspects]}"
            )
        )

    async def _harm_alone(self, attempt: Try) -> dict[str, str]:
        return await self._harm_of([attempt], count=False)

    def _add(self, violation: Violation) -> None:
        kind = (violation.what, violation.by.path, *violation.by.fields, violation.detail[:40])
        if kind not in self._known:
            self._known.add(kind)
            self._tally.violations.append(violation)

    async def smallest(self, violation: Violation) -> Violation:
        """The violation with no field that it does not need, where it is one that happens again at will."""
        smallest_try = violation.by
        for name in list(smallest_try.fields) if len(smallest_try.fields) > 1 else ():
            fewer = smallest_try.without(name)
            if await self._happens_again(violation, fewer):
                smallest_try = fewer
        return Violation(violation.what, smallest_try, violation.detail, violation.alone)

    async def _happens_again(self, violation: Violation, attempt: Try) -> bool:
        if violation.what.startswith(FAULT):
            return (await self._sender.send(attempt)).at_fault
        return violation.alone and violation.what in await self._harm_alone(attempt)

    async def _recovered(self) -> None:
        """Returns once bystanders get answers again. Raises PatchbayError where they never do."""
        loop = asyncio.get_running_loop()
        end_s = loop.time() + _RECOVERY_S
        while loop.time() < end_s:
            failed = self._total("failed")
            await asyncio.gather(*(bystander.asks_again() for bystander in self._bystanders))
            if self._total("failed") == failed:
                self._processes.learn()
                return
            await asyncio.sleep(_POLL_S)
        raise PatchbayError(f"The service did not come back within {_RECOVERY_S:.0f} s: {self._last_faults()}")

    async def _held(self) -> int:
        try:
            return await turns_held(self._session, self._addresses)
        except (aiohttp.ClientError, TimeoutError, OSError):
            return 0

    def _total(self, what: str) -> int:
        return sum(getattr(bystander, what) for bystander in self._bystanders)

    def _last_faults(self) -> str:
        return "; ".join(f"{bystander.model}: {bystander.last}" for bystander in self._bystanders if bystander.last)


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
    for bystander in bystanders:
        await bystander.learn(session, url)
    tasks = [asyncio.create_task(bystander.run(session, url)) for bystander in bystanders]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        tally.asked += sum(bystander.answers for bystander in bystanders)
        tally.unanswered += sum(bystander.failed for bystander in bystanders)
