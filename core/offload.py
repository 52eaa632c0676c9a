"""The offloading of work on long texts and bodies to threads, so that the event loop can pass on others' chunks."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

Result = TypeVar("Result")

# Guards finish with shorter texts within ten milliseconds, whatever is in them, so these are done on the event loop.
_LONG_BYTES = 4 * 1024
# The same limit for decoding JSON, which does not examine each character.
_LONG_JSON_BYTES = 64 * 1024
_THREADS = 2


class Offload:
    """The threads for long work, which `close` ends.

    The threads share Python's global lock with the event loop. It changes hands every few milliseconds, so the loop
    waits only that long. A single call of a C function keeps it to its end, which is why bodies have a limit on their
    elements.

    `threads`: how many there are: more than two only where work waits for somebody else. Two work at a time all the
    same, as each that does holds up the event loop: the others wait, in `waiting` or for their turn.
    """

    def __init__(self, threads: int = _THREADS) -> None:
        self._threads = ThreadPoolExecutor(threads, "offload")
        self._number = threads
        self._has_begun = False
        self._turns = threading.BoundedSemaphore(_THREADS)
        self._here = threading.local()

    async def run(
        self, work: Callable[[], Result], length: int, *, long: int = _LONG_BYTES, hard: bool = False
    ) -> Result:
        """Does `work`, in a thread where it is long, and returns or raises what it does.

        `length`: the length of its text in bytes; `long`: the length from which on a thread does it; `hard`: whether
        even a short text may take long. Where the caller is cancelled, this waits for the work to end first, because
        the work may still change data that the caller's clean-up touches.
        """
        if length < long and not hard:
            return work()
        self._begin()
        future = asyncio.get_running_loop().run_in_executor(self._threads, self._in_turn, work)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            await _ended(future)
            raise

    def _begin(self) -> None:
        """Starts all threads, once. To start one waits for it to run, and beside threads at work that takes them some
        milliseconds each: the event loop waited for half a second where 32 texts came at once."""
        if self._has_begun:
            return
        self._has_begun = True
        gate = threading.Event()
        for _ in range(self._number):
            self._threads.submit(gate.wait)
        gate.set()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Lets other work go on in the block, in which work of this pool waits for somebody else."""
        if not getattr(self._here, "works", False):
            yield
            return
        self._turns.release()
        try:
            yield
        finally:
            self._turns.acquire()

    def _in_turn(self, work: Callable[[], Result]) -> Result:
        with self._turns:
            self._here.works = True
            try:
                return work()
            finally:
                self._here.works = False

    def run_json(self, work: Callable[[], Result], length: int) -> Coroutine[Any, Any, Result]:
        """Does `work` that decodes JSON of `length` bytes, in a thread where it is long."""
        return self.run(work, length, long=_LONG_JSON_BYTES)

    def close(self) -> None:
        """Ends the threads. No work may be under way."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def is_long_json(body: bytes) -> bool:
    """Whether a body is decoded in a thread."""
    return len(body) >= _LONG_JSON_BYTES


async def _ended(future: asyncio.Future[Result]) -> None:
    while not future.done():
        try:
            await asyncio.wait({future})
        except asyncio.CancelledError:
            continue
    # Read, or asyncio would log the exception as never read.
    if not future.cancelled():
        future.exception()
