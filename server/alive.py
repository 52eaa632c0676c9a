"""Work that only a living engine can finish, and the end of the wait for it where the engine dies.

vLLM answers nothing that it was asked when its engine's process dies: whoever waits for that would wait for ever.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

from patchbay.core.errors import Unavailable

LOOK_S: Final = 0.25
Result = TypeVar("Result")


async def while_alive(failure: Callable[[], str | None], work: Coroutine[Any, Any, Result]) -> Result:
    """The result of `work`. `failure`: why the engine is dead, or None while it lives, asked four times a second.

    Raises Unavailable where the engine dies first, which cancels the work.
    """
    task = asyncio.create_task(work, name="asking the engine")
    try:
        while not (await asyncio.wait((task,), timeout=LOOK_S))[0]:
            if (reason := failure()) is not None:
                raise Unavailable(f"The engine died: {reason}", retry_after_s=5)
    finally:
        task.cancel()
        if not task.done():
            await asyncio.wait((task,), timeout=LOOK_S)
    return task.result()
