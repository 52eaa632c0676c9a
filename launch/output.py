"""The one way from the processes and their keepers to the terminal."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final, Protocol

from patchbay.launch.events import Event

_LAST_WORDS_TAKE_AT_MOST_S: Final = 2.0


class Reporter(Protocol):
    """Shows what happens. Called by one thread at a time."""

    def lines(self, process: str, lines: Sequence[str]) -> None:
        """Passes on whole lines of a process's log."""
        ...

    def event(self, event: Event) -> None:
        """Tells what has happened."""
        ...


class Output:
    """Feeds a reporter from a thread, so that a terminal or pipe that takes nothing cannot stop the supervision.

    Lines wait for their turn, which slows their writer down; events never wait, and are told in order.
    """

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self._turn = asyncio.Lock()
        self._queue: asyncio.Queue[Callable[[], None]] = asyncio.Queue()

    async def lines(self, process: str, lines: list[str]) -> None:
        """Passes on `lines` of `process`; returns once that is done."""
        async with self._turn:
            await asyncio.to_thread(_write, lambda: self._reporter.lines(process, lines))

    def tell(self, event: Event) -> None:
        """Tells of `event` soon."""
        self.call(lambda: self._reporter.event(event))

    def call(self, write: Callable[[], None]) -> None:
        """Runs `write`, which may print, after what has been told before it."""
        self._queue.put_nowait(write)

    async def run(self) -> None:
        """Tells the events, until cancelled."""
        while True:
            write = await self._queue.get()
            async with self._turn:
                await asyncio.to_thread(_write, write)
            self._queue.task_done()

    async def flush(self) -> None:
        """Waits until all events are told, at most two seconds."""
        try:
            await asyncio.wait_for(self._queue.join(), _LAST_WORDS_TAKE_AT_MOST_S)
        except TimeoutError:
            return


def _write(write: Callable[[], None]) -> None:
    """Runs `write`. Where nobody reads what we print any more (`| head`), what we run goes on."""
    with suppress(OSError):
        write()
