"""The output of a run: the only path from the processes and their keepers to the terminal."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final, Protocol

from patchbay.launch.events import Event

_FLUSH_TIMEOUT_S: Final = 2.0


class Reporter(Protocol):
    """The interface of what shows events and logs. One thread at a time calls it."""

    def lines(self, process: str, lines: Sequence[str]) -> None:
        """Shows whole lines of a process's log."""
        ...

    def event(self, event: Event) -> None:
        """Shows an event."""
        ...


class Output:
    """The feed of a reporter from threads, so that a terminal or pipe that takes nothing cannot stop the supervision.

    Log lines wait for each other, which slows their writer down. Events are queued without waiting, and shown in order.
    """

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        # Lines and events come from two places, and a reporter takes one call at a time.
        self._write_lock = asyncio.Lock()
        self._queue: asyncio.Queue[Callable[[], None]] = asyncio.Queue()

    async def lines(self, process: str, lines: list[str]) -> None:
        """Shows `lines` of `process`; returns once that is done."""
        async with self._write_lock:
            await asyncio.to_thread(_write, lambda: self._reporter.lines(process, lines))

    def show(self, event: Event) -> None:
        """Queues `event` to be shown."""
        self.call(lambda: self._reporter.event(event))

    def call(self, write: Callable[[], None]) -> None:
        """Queues `write`, which may print, to run after the events before it."""
        self._queue.put_nowait(write)

    async def run(self) -> None:
        """Shows the queued events, until cancelled."""
        while True:
            write = await self._queue.get()
            async with self._write_lock:
                await asyncio.to_thread(_write, write)
            self._queue.task_done()

    async def flush(self) -> None:
        """Waits until all events are shown, at most two seconds."""
        try:
            await asyncio.wait_for(self._queue.join(), _FLUSH_TIMEOUT_S)
        except TimeoutError:
            return


def _write(write: Callable[[], None]) -> None:
    """Runs `write`. Where nobody reads our output any more (`| head`), the processes go on."""
    with suppress(OSError):
        write()
