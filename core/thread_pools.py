"""Thread pools for calls that block, one for each purpose, so that calls for one never delay those for another."""

import asyncio
import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

from patchbay.core.errors import Unavailable

P = ParamSpec("P")
R = TypeVar("R")
_RETRY_AFTER_S = 5


class Threads:
    """A pool of up to `at_a_time` threads for one `purpose`.

    `waiting`: the most calls that may wait for a thread. Leave it out where there are never more than a few callers:
    any number may wait then.
    """

    def __init__(self, purpose: str, at_a_time: int, *, waiting: int | None = None) -> None:
        self._purpose = purpose
        self._most = None if waiting is None else at_a_time + waiting
        self._threads = ThreadPoolExecutor(at_a_time, purpose)
        self._lock = threading.Lock()
        self._busy = 0

    @property
    def busy(self) -> int:
        """The number of calls that run or wait."""
        return self._busy

    async def run(self, work: Callable[P, R], *arguments: P.args, **named: P.kwargs) -> R:
        """Does `work` in a thread. Where the caller is cancelled, work that has begun goes on to its end.

        Raises Unavailable where too many calls wait already.
        """
        with self._lock:
            if self._most is not None and self._busy >= self._most:
                raise Unavailable(
                    f"This router is too busy with {self._purpose}: {self._busy} calls are at work or wait.",
                    retry_after_s=_RETRY_AFTER_S,
                )
            self._busy += 1
        # The context goes along, as it does with `asyncio.to_thread`.
        context = contextvars.copy_context()
        future = self._threads.submit(partial(context.run, partial(work, *arguments, **named)))
        future.add_done_callback(self._release)
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Takes no more calls, and drops those that have not started."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _release(self, _: "Future[R]") -> None:
        with self._lock:
            self._busy -= 1
