"""The watch on a process's event loop: it finds that the loop was held, for how long, and whether by its own work.

A timer that is due every 20 ms, and every 200 ms while nobody asks anything, notes how late it is. What held the loop
then lasted at least that long, and at most 20 ms (or 200) longer. The thread's CPU time since the timer's last turn
tells work on the loop from other threads, or a machine, that did not let it run. Pauses of Python's garbage collector
are told by the collector itself, exactly.

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
_SAID_EVERY_S = 10.0

_log = logging.getLogger("patchbay.loop")


class LoopMeter(Protocol):
    """Where the watch puts what it sees."""

    def late(self, seconds: float) -> None:
        """Notes how late the loop came to a timer."""

    def held(self) -> None:
        """Counts a time that work on the loop held it for over 100 ms."""

    def collected(self, generation: int, seconds: float) -> None:
        """Notes a pause for garbage of that generation (2: all that there is) and the younger ones."""


@dataclass(frozen=True, slots=True)
class LoopHold:
    """A time that the loop was held. `seconds`: for at least so long; `work_s`: for so much of it by its own work."""

    seconds: float
    work_s: float

    @property
    def own(self) -> bool:
        """Whether it was work on the loop that held it, rather than another thread or process."""
        return self.work_s >= HELD_S


class Longest:
    """The largest value of late: of one to two windows of a minute. `clock`: seconds, monotonic."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since = clock()
        self._before = self._now = 0.0

    def note(self, value: float) -> None:
        """Takes a value."""
        self._turn()
        self._now = max(self._now, value)

    @property
    def value(self) -> float:
        """The largest."""
        self._turn()
        return max(self._before, self._now)

    def _turn(self) -> None:
        windows = int((self._clock() - self._since) / _WINDOW_S)
        if windows:
            self._before = self._now if windows == 1 else 0.0
            self._now = 0.0
            self._since += windows * _WINDOW_S


class LoopWatch:
    """The watch of one loop, run on it by `run`. `wall` and `cpu`: seconds, monotonic, `cpu` of the thread's work;
    `busy`: whether anybody waits for the loop."""

    def __init__(
        self,
        meter: LoopMeter,
        wall: Callable[[], float] = time.perf_counter,
        cpu: Callable[[], float] = time.thread_time,
        busy: Callable[[], bool] = lambda: True,
    ) -> None:
        self._meter = meter
        self._busy = busy
        self._wall = wall
        self._cpu = cpu
        self._said_at = wall() - _SAID_EVERY_S
        self._unsaid = 0
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
        """Takes one look: the timer was so late, after so much work of the loop's thread since the look before."""
        late_s = max(0.0, late_s)
        self._meter.late(late_s)
        if late_s >= HELD_S:
            hold = LoopHold(late_s, min(late_s, work_s))
            if hold.own:
                self._meter.held()
            self._say(hold)

    def _say(self, hold: LoopHold) -> None:
        now = self._wall()
        if now - self._said_at < _SAID_EVERY_S:
            self._unsaid += 1
            return
        why = "by its own work" if hold.own else "while other threads or processes ran"
        more = f"; {self._unsaid} more times in the {now - self._said_at:.0f} s before" if self._unsaid else ""
        _log.warning("the event loop was held for %.0f ms %s%s", 1000 * hold.seconds, why, more)
        self._said_at, self._unsaid = now, 0

    @contextmanager
    def _collections(self) -> Iterator[None]:
        """Has the collector tell its pauses. They are only listed there: it may run anywhere, within a lock too."""
        began = 0.0

        def told(phase: str, info: dict[str, Any]) -> None:
            nonlocal began
            if phase == "start":
                began = self._wall()
            else:
                self._pauses.append((info["generation"], self._wall() - began))

        gc.callbacks.append(told)
        try:
            yield
        finally:
            gc.callbacks.remove(told)
