"""The queue of responses that are to be kept: what its callers are told is true, whatever the registry does."""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from patchbay.core.errors import RegistryError
from patchbay.registry.responses import KeepResult, KeepTerms, ResponseDraft
from patchbay.router.responses import keep_queue
from patchbay.router.responses.keep_queue import KeepQueue

pytestmark = pytest.mark.anyio
TERMS = KeepTerms(keep_for=timedelta(days=30), most_bytes=10**9)


class Sink:
    """A registry in memory. `turn`: cleared, a write waits for its turn; `commit`: cleared, for its end."""

    def __init__(self) -> None:
        self.there: set[str] = set()
        self.batches: list[int] = []
        self.is_away = False
        self.turn, self.commit = threading.Event(), threading.Event()
        self.turn.set()
        self.commit.set()
        self.begun = threading.Event()

    def keep(self, drafts: Callable[[], Sequence[ResponseDraft]], terms: KeepTerms) -> tuple[KeepResult, ...]:
        assert terms == TERMS
        self.begun.set()
        assert self.turn.wait(10)
        if self.is_away:
            raise RegistryError("The registry is away.")
        wanted = drafts()
        assert self.commit.wait(10)
        results = tuple["KeepResult", ...]("taken" if draft.id in self.there else "kept" for draft in wanted)
        self.there.update(draft.id for draft in wanted)
        self.batches.append(len(wanted))
        return results

    def delete(self, tenant: str, name: str) -> bool:
        assert tenant == "acme"
        self.there.discard(name)
        return True


def draft(name: str, size: int = 10) -> ResponseDraft:
    return ResponseDraft(tenant="acme", id=name, model="sql", response=b"x" * size, output=b"", input=b"")


@asynccontextmanager
async def running(
    sink: Sink, wait_s: float = 5.0, clock: Callable[[], float] = lambda: 0.0
) -> AsyncIterator[KeepQueue]:
    queue = KeepQueue(sink, TERMS, wait_s, clock)
    writing = asyncio.create_task(queue.run())
    try:
        yield queue
    finally:
        sink.turn.set()
        sink.commit.set()
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
        await queue.close(5)


async def begun(sink: Sink) -> None:
    while not sink.begun.is_set():
        await asyncio.sleep(0.001)


async def test_whoever_is_told_that_it_is_kept_finds_it_there() -> None:
    sink = Sink()
    async with running(sink) as queue:
        assert await queue.keep(draft("one")) == "kept"
        assert sink.there == {"one"}
        assert await queue.keep(draft("one")) == "taken"


async def test_those_that_wait_are_written_together() -> None:
    sink = Sink()
    sink.turn.clear()
    async with running(sink) as queue:
        tasks = [asyncio.create_task(queue.keep(draft(str(number)))) for number in range(200)]
        await begun(sink)
        sink.turn.set()
        assert set(await asyncio.gather(*tasks)) == {"kept"}
        assert len(sink.batches) <= 5
        assert queue.waiting == 0


async def test_one_that_was_given_up_before_its_write_had_its_turn_is_not_written() -> None:
    sink = Sink()
    sink.turn.clear()
    async with running(sink, wait_s=0.05) as queue:
        assert await queue.keep(draft("one")) == "late"
        sink.turn.set()
        assert await queue.keep(draft("two")) == "kept"
        assert sink.there == {"two"}


async def test_one_that_was_given_up_amid_its_write_is_taken_back() -> None:
    sink = Sink()
    sink.commit.clear()
    async with running(sink, wait_s=0.05) as queue:
        assert await queue.keep(draft("one")) == "late"
        sink.commit.set()
        assert await queue.keep(draft("two")) == "kept"
        assert sink.there == {"two"}


async def test_one_whose_client_left_is_not_written() -> None:
    sink = Sink()
    sink.turn.clear()
    async with running(sink) as queue:
        leaving = asyncio.create_task(queue.keep(draft("one")))
        await begun(sink)
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        sink.turn.set()
        assert await queue.keep(draft("two")) == "kept"
        assert sink.there == {"two"}


async def test_a_registry_that_is_away_is_said_once_and_again_when_it_is_back(caplog: pytest.LogCaptureFixture) -> None:
    sink = Sink()
    sink.is_away = True
    with caplog.at_level(logging.WARNING):
        async with running(sink) as queue:
            assert [await queue.keep(draft(name)) for name in "ab"] == ["unavailable"] * 2
            sink.is_away = False
            assert await queue.keep(draft("c")) == "kept"
    assert [record.message for record in caplog.records] == [
        "responses are not kept: The registry is away.",
        "responses are kept again",
    ]


async def test_nobody_waits_behind_a_write_that_hangs() -> None:
    sink, now = Sink(), [0.0]
    sink.turn.clear()
    async with running(sink, clock=lambda: now[0]) as queue:
        first = asyncio.create_task(queue.keep(draft("one")))
        await begun(sink)
        now[0] = 6.0
        assert await queue.keep(draft("two")) == "unavailable"
        sink.turn.set()
        assert await first == "kept"


async def test_what_waits_is_bounded_by_number_and_by_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keep_queue, "_MOST", 3)
    monkeypatch.setattr(keep_queue, "_MOST_BYTES", 1000)
    sink = Sink()
    sink.turn.clear()
    async with running(sink) as queue:
        first = asyncio.create_task(queue.keep(draft("first")))
        await begun(sink)
        others = [asyncio.create_task(queue.keep(draft(str(number)))) for number in range(2)]
        await asyncio.sleep(0)
        assert await queue.keep(draft("large", 2000)) == "busy"
        others.append(asyncio.create_task(queue.keep(draft("last"))))
        await asyncio.sleep(0)
        assert await queue.keep(draft("one more")) == "busy"
        sink.turn.set()
        assert set(await asyncio.gather(first, *others)) == {"kept"}


async def test_what_is_waited_for_at_the_end_is_written() -> None:
    sink = Sink()
    queue = KeepQueue(sink, TERMS, 5, lambda: 0.0)
    waiting = asyncio.create_task(queue.keep(draft("one")))
    await asyncio.sleep(0)
    await queue.close(5)
    assert await waiting == "kept"
