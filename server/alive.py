"""A guard for calls into the engine, which ends the wait for an answer where the engine dies.

vLLM leaves calls unanswered when its engine's process dies: whoever waits for one would wait for ever.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

from patchbay.core.errors import Unavailable

POLL_S: Final = 0.25
Result = TypeVar("Result")


async def while_alive(failure: Callable[[], str | None], work: Coroutine[Any, Any, Result]) -> Result:
    """Returns the result of `work`. Raises Unavailable where the engine dies first, which cancels the work.

    `failure` returns the reason why the engine is dead, or None while it lives; it is called four times a second.
    """
    task = asyncio.create_task(work, name="asking the engine")
    try:
        while not (await asyncio.wait((task,), timeout=POLL_S))[0]:
            if (reason := failure()) is not None:
                raise Unavailable(f"The engine died: {reason}", retry_after_s=5)
    finally:
        task.cancel()
        if not task.done():
            await asyncio.wait((task,), timeout=POLL_S)
    return task.result()
