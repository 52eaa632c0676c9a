"""Work on long texts and bodies beside the event loop, which has other requests' chunks to pass on meanwhile."""

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

Result = TypeVar("Result")

# What guards make of less is done within ten milliseconds, whatever is in it, and at once.
_LONG = 4 * 1024
# The same of what decodes JSON, and does not look at each character.
_LONG_JSON = 64 * 1024
_AT_A_TIME = 2


class Offload:
    """Owns the threads: `close` ends them. Python's own lock is shared, but given up every few milliseconds, so others
    wait that long and not for all of it. One call of a C function keeps it to its end, which is why bodies have a bound
    on their elements."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_AT_A_TIME, "apart")

    async def run(self, work: Callable[[], Result], length: int, *, long: int = _LONG, hard: bool = False) -> Result:
        """What `work` returns, or raises. `length`: of the text that it is about, in bytes; `long`: from how many on it
        is done in a thread; `hard`: whether a short one may take long, too.

        Where it is cancelled, it ends once the work has: what that changes is then left to others.
        """
        if length < long and not hard:
            return work()
        future = asyncio.get_running_loop().run_in_executor(self._threads, work)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            await _ended(future)
            raise

    def run_json(self, work: Callable[[], Result], length: int) -> Coroutine[Any, Any, Result]:
        """The same for work that decodes JSON."""
        return self.run(work, length, long=_LONG_JSON)

    def close(self) -> None:
        """Ends the threads. Nothing may be under way."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def is_long_json(body: bytes) -> bool:
    """Whether a body is decoded in a thread."""
    return len(body) >= _LONG_JSON


async def _ended(future: asyncio.Future[Result]) -> None:
    while not future.done():
        try:
            await asyncio.wait({future})
        except asyncio.CancelledError:
            continue
    if not future.cancelled():
        future.exception()
