"""An event loop whose clock jumps: where all wait, it goes on at once to the time that the next waits for."""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


class JumpingSelector(selectors.DefaultSelector):
    """A selector that never waits. `now_s`: the loop's time, which passes by what it would have waited."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 1000.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Returns what is ready, and lets `timeout` pass where nothing is. Raises TimeoutError where nothing ever will
        be."""
        ready = super().select(0)
        if not ready and timeout is None:
            raise TimeoutError("Everything waits for something that nobody is going to do.")
        if not ready:
            self.now_s += timeout or 0.0
        return ready


class TimelessLoop(asyncio.SelectorEventLoop):
    """A loop on that selector's time."""

    def __init__(self) -> None:
        self.jumping = JumpingSelector()
        super().__init__(self.jumping)

    def time(self) -> float:
        """Returns the time to which the loop has jumped, in seconds."""
        return self.jumping.now_s


def timeless(work: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
    """Runs a coroutine on such a loop."""
    with asyncio.Runner(loop_factory=TimelessLoop) as runner:
        return runner.run(work())
