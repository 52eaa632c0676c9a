"""The watch on an event loop: what it counts, and what it says."""

import asyncio
import gc
import logging
import time
from collections import Counter

import pytest

from patchbay.core.loop_watch import HELD_S, Longest, LoopWatch


class Meter:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.lates: list[float] = []
        self.holds = 0
        self.pauses: Counter[int] = Counter()

    def late(self, seconds: float) -> None:
        self.lates.append(seconds)

    def held(self) -> None:
        self.holds += 1

    def collected(self, generation: int, seconds: float) -> None:
        assert seconds >= 0
        self.pauses[generation] += 1


class Clock:
    """Seconds, set from outside."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def work(seconds: float) -> None:
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


async def watched(meter: Meter, seconds: float) -> None:
    """A watch of this loop, on which something then works for so long."""
    task = asyncio.create_task(LoopWatch(meter=meter).run())
    while len(meter.lates) < 2:
        await asyncio.sleep(0.001)
    seen = len(meter.lates)
    work(seconds)
    gc.collect()
    while len(meter.lates) < seen + 2:
        await asyncio.sleep(0.001)
    task.cancel()
    await asyncio.wait({task})


def test_work_that_holds_the_loop_is_not_seen() -> None:
    meter = Meter()
    asyncio.run(watched(meter, 0.2))
    assert meter.holds >= 1
    assert max(meter.lates) > HELD_S
    assert meter.pauses[2] >= 1


def test_the_collector_tells_a_watch_that_has_ended() -> None:
    before = len(gc.callbacks)
    asyncio.run(watched(Meter(), 0))
    assert len(gc.callbacks) == before


def test_a_machine_that_does_not_let_the_loop_run_counts_as_its_work(caplog: pytest.LogCaptureFixture) -> None:
    meter, clock = Meter(), Clock()
    watch = LoopWatch(meter=meter, wall=clock, cpu=clock)
    watch.note(0.5, 0.01)
    assert (meter.lates, meter.holds) == ([0.5], 0)
    assert "held for 500 ms while other threads or processes ran" in caplog.text
    clock.now = 60
    watch.note(0.5, 0.6)
    assert meter.holds == 1
    assert "held for 500 ms by its own work" in caplog.text


def test_a_loop_that_is_held_all_the_time_floods_the_log(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    watch = LoopWatch(meter=Meter(), wall=clock, cpu=clock)
    with caplog.at_level(logging.WARNING):
        for second in range(21):
            clock.now = second
            watch.note(1, 1)
    assert len(caplog.records) == 3
    assert "9 more times in the 10 s before" in caplog.text


def test_what_is_longest_is_forgotten_at_once_or_never() -> None:
    clock = Clock()
    longest = Longest(clock)
    longest.note(0.3)
    longest.note(0.1)
    for at, value in ((59, 0.3), (61, 0.3), (119, 0.3), (121, 0.0)):
        clock.now = at
        assert longest.value == value
    longest.note(0.2)
    clock.now = 1000
    assert longest.value == 0
