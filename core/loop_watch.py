"""The watch on a process's event loop, which finds when the loop was held, for how long, and whether by its own work.

A timer that is due every 20 ms, and every 200 ms while nobody asks anything, measures how late it is. The loop was then
held for at least that long, and at most 20 ms (or 200) longer. The thread's CPU time since the timer last ran
distinguishes work on the loop from other threads, or a machine, that did not let it run. Pauses of Python's garbage
collector are reported by the collector itself, exactly.

Neither costs a request anything.
"""

import asyncio
import gc
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

TICK_S = 0.02
IDLE_TICK_S = 0.2
# Long enough that every stream visibly halts.
HELD_S = 0.1
_WINDOW_S = 60.0
_LOG_INTERVAL_S = 10.0

_log = logging.getLogger("patchbay.loop")


class LoopMeter(Protocol):
    """The receiver of the watch's measurements."""

    def late(self, seconds: float) -> None:
        """Takes the lag with which the loop ran a timer."""

    def held(self) -> None:
        """Counts a time that work on the loop held it for over 100 ms."""

    def collected(self, generation: int, seconds: float) -> None:
        """Takes a pause for the garbage of that generation (2: all objects) and the younger ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopHold:
    """A time that the loop was held: for at least `seconds`, of which `work_s` were its own work."""

    seconds: float
    work_s: float

    @property
    def own(self) -> bool:
        """Whether work on the loop held it, rather than another thread or process."""
        return self.work_s >= HELD_S


class Longest:
    """The largest recent value, over the current window of a minute and the one before. `clock`: seconds, monotonic."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since = clock()
        self._previous = self._current = 0.0

    def note(self, value: float) -> None:
        """Takes a value."""
        self._advance()
        self._current = max(self._current, value)

    @property
    def value(self) -> float:
        """The largest value of the two windows, 0 where there is none."""
        self._advance()
        return max(self._previous, self._current)

    def _advance(self) -> None:
        windows = int((self._clock() - self._since) / _WINDOW_S)
        if windows:
            self._previous = self._current if windows == 1 else 0.0
            self._current = 0.0
            self._since += windows * _WINDOW_S


class LoopWatch:
    """The watch of one event loop, which runs on that loop.

    `wall` and `cpu`: clocks in seconds, monotonic, `cpu` of the thread's work; `busy`: whether anybody waits for the
    loop.
    """

    def __init__(
        self,
        *,
        meter: LoopMeter,
        wall: Callable[[], float] = time.perf_counter,
        cpu: Callable[[], float] = time.thread_time,
        busy: Callable[[], bool] = lambda: True,
    ) -> None:
        self._meter = meter
        self._busy = busy
        self._wall = wall
        self._cpu = cpu
        self._logged_at = wall() - _LOG_INTERVAL_S
        self._unlogged = 0
        self._pauses: list[tuple[int, float]] = []

    async def run(self) -> None:
        """Watches until it is cancelled."""
        with self._collections():
            while True:
                tick_s = TICK_S if self._busy() else IDLE_TICK_S
                due, work = self._wall() + tick_s, self._cpu()
                await asyncio.sleep(tick_s)
                self.note(self._wall() - due, self._cpu() - work)
                pauses, self._pauses = self._pauses, []
                for generation, seconds in pauses:
                    self._meter.collected(generation, seconds)

    def note(self, late_s: float, work_s: float) -> None:
        """Takes one measurement: the timer's lag, and the CPU time of the loop's thread since the one before."""
        late_s = max(0.0, late_s)
        self._meter.late(late_s)
        if late_s >= HELD_S:
            hold = LoopHold(seconds=late_s, work_s=min(late_s, work_s))
            if hold.own:
                self._meter.held()
            self._log_hold(hold)

    def _log_hold(self, hold: LoopHold) -> None:
        now = self._wall()
        if now - self._logged_at < _LOG_INTERVAL_S:
            self._unlogged += 1
            return
        why = "by its own work" if hold.own else "while other threads or processes ran"
        suppressed = (
            f"; {self._unlogged} more times in the {now - self._logged_at:.0f} s before" if self._unlogged else ""
        )
        _log.warning("the event loop was held for %.0f ms %s%s", 1000 * hold.seconds, why, suppressed)
        self._logged_at, self._unlogged = now, 0

    @contextmanager
    def _collections(self) -> Iterator[None]:
        """Has the collector report its pauses while in the block.

        The callback only lists them: the collector may run anywhere, even where a lock of the metrics is held.
        """
        began = 0.0

        def on_collection(phase: str, info: dict[str, Any]) -> None:
            nonlocal began
            if phase == "start":
                began = self._wall()
            else:
                self._pauses.append((info["generation"], self._wall() - began))

        gc.callbacks.append(on_collection)
        try:
            yield
        finally:
            gc.callbacks.remove(on_collection)
