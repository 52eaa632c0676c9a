"""Usage reaches the registry once: while it is away, where its answer is lost, and where the router ends meanwhile."""

import asyncio
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from patchbay.core.errors import ArtifactError, RegistryError
from patchbay.core.money import TRILLION
from patchbay.registry.records import UsageBatch
from patchbay.router.tenants.limiter import Need
from patchbay.router.tenants.usage import TenantUsage

pytestmark = pytest.mark.anyio
HALF = TRILLION // 2


def _nothing(_: int) -> None:
    pass


class FakeBook:
    """A book that can be away, lose its answers, or never answer. `added`: by source and number."""

    def __init__(self) -> None:
        self.away, self.forgets_to_answer, self.full = False, False, False
        self.hung: threading.Event | None = None
        self.added: dict[tuple[str, int], UsageBatch] = {}
        self.kept: list[UsageBatch] = []
        self.looks = 0
        self.looked: Callable[[int], object] = _nothing

    def add(self, batch: UsageBatch) -> bool:
        if self.hung is not None:
            self.hung.wait()
        if self.away:
            raise RegistryError("gone")
        new = (batch.source, batch.number) not in self.added
        self.added.setdefault((batch.source, batch.number), batch)
        if self.forgets_to_answer:
            raise RegistryError("cut")
        return new

    def keep(self, batch: UsageBatch) -> Path:
        if self.full:
            raise ArtifactError("the disk is full")
        self.kept.append(batch)
        return Path("kept")

    def take_in(self) -> int:
        self.looks += 1
        self.looked(self.looks)
        return 0

    @property
    def requests(self) -> int:
        return sum(row.requests for batch in self.added.values() for row in batch.rows)


def counting(book: FakeBook) -> TenantUsage:
    return TenantUsage(book, lambda: datetime(2026, 1, 1, 12, 30, tzinfo=UTC))


def use(usage: TenantUsage, *, failed: bool = False) -> None:
    usage.add("t", "r", "m", Need(prompt=1, answer=2), HALF, failed=failed)


async def test_usage_is_kept_while_the_registry_is_away() -> None:
    book = FakeBook()
    book.away = True
    usage = counting(book)
    use(usage)
    await usage.flush()
    use(usage, failed=True)
    book.away = False
    await usage.close()
    rows = [row for batch in book.added.values() for row in batch.rows]
    assert [(row.requests, row.failed, row.answer_tokens, row.billionths) for row in rows] == [
        (1, 0, 2, 500_000_000),
        (1, 1, 2, 500_000_000),
    ]
    assert book.kept == []


async def test_a_write_whose_answer_is_lost_is_not_counted_twice() -> None:
    book = FakeBook()
    book.forgets_to_answer = True
    usage = counting(book)
    use(usage)
    await usage.flush()
    book.forgets_to_answer = False
    use(usage)
    await usage.close()
    assert book.requests == 2


async def test_what_the_registry_does_not_take_at_the_end_is_left_to_the_next_router_and_the_log_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    book = FakeBook()
    book.away = True
    usage = counting(book)
    use(usage)
    await usage.flush()
    use(usage)
    await usage.close()
    assert [(batch.number, len(batch.rows)) for batch in book.kept] == [(1, 1), (2, 1)]
    assert "the next router here counts it" in caplog.text


async def test_a_registry_that_never_answers_does_not_keep_usage_from_the_spool() -> None:
    book = FakeBook()
    book.hung = threading.Event()
    usage = counting(book)
    use(usage)
    flushing = asyncio.create_task(usage.flush())
    await asyncio.sleep(0)
    try:
        await usage.close(0.05)
        assert [batch.number for batch in book.kept] == [1]
    finally:
        book.hung.set()
    await flushing


async def test_usage_that_is_lost_is_called_lost(caplog: pytest.LogCaptureFixture) -> None:
    book = FakeBook()
    book.away = book.full = True
    usage = counting(book)
    use(usage)
    await usage.close()
    assert "the usage of 1 requests is lost" in caplog.text
    assert "kept" not in caplog.text.replace("kept in memory and tried again", "")


async def test_what_a_router_beside_this_one_leaves_is_counted_while_this_one_runs() -> None:
    book, again, loop = FakeBook(), asyncio.Event(), asyncio.get_running_loop()
    book.looked = lambda looks: loop.call_soon_threadsafe(again.set) if looks == 2 else None
    usage = TenantUsage(book, lambda: datetime(2026, 1, 1, 12, 30, tzinfo=UTC), flush_s=0.0)
    running = asyncio.create_task(usage.run())
    async with asyncio.timeout(60):
        await again.wait()
    running.cancel()
    await usage.close()
