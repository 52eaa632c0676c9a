"""Work in threads: two work at a time, however many wait for somebody else."""

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest

from patchbay.core.offload import Offload

pytestmark = pytest.mark.anyio
LONG = 1 << 20


@pytest.fixture
async def offload() -> AsyncIterator[Offload]:
    made = Offload(8)
    yield made
    made.close()


class Count:
    """The number of those in a block, and the most that there were."""

    def __init__(self) -> None:
        self.now = self.most = 0
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self.now -= 1


async def test_no_more_than_two_work_at_a_time_and_all_may_wait_at_once(offload: Offload) -> None:
    together, at_work, after = threading.Barrier(8, timeout=20), Count(), Count()
    # Work that lasts, so that others would come in.
    lasting = threading.Event()

    def work() -> None:
        with at_work:
            lasting.wait(0.02)
        with offload.waiting():
            # It breaks unless all eight are here at the same time.
            together.wait()
        with after:
            lasting.wait(0.02)

    await asyncio.gather(*(offload.run(work, LONG) for _ in range(8)))
    assert at_work.most <= 2
    assert after.most <= 2


async def test_a_turn_comes_free_again_after_an_error(offload: Offload) -> None:
    def fails() -> None:
        with offload.waiting():
            raise ValueError("no")

    for _ in range(6):
        with pytest.raises(ValueError, match="no"):
            await offload.run(fails, LONG)
    assert await offload.run(lambda: 7, LONG) == 7


async def test_work_that_is_in_no_thread_may_wait_too(offload: Offload) -> None:
    def work() -> int:
        with offload.waiting():
            return 7

    assert await offload.run(work, 1) == 7
    assert await offload.run(work, LONG) == 7


async def test_threads_are_started_one_by_one_beside_work(offload: Offload) -> None:
    before = set(threading.enumerate())
    started = set(await offload.run(threading.enumerate, LONG)) - before
    assert len(started) == 8
    await asyncio.gather(*(offload.run(lambda: None, LONG) for _ in range(40)))
    assert set(threading.enumerate()) - before == started
