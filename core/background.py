"""The outermost loop of background work, which logs and counts failures, and starts the work anew.

A task that fails without being awaited is silent: the router would go on answering without the task's work.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Final

_log = logging.getLogger("patchbay.router")
_RETRY_S: Final = 1.0


async def keep_running(
    name: str,
    work: Callable[[], Coroutine[Any, Any, None]],
    fault: Callable[[str], None] = lambda name: None,
    *,
    again_s: float = _RETRY_S,
) -> None:
    """Runs `work` until it ends or is cancelled, and starts it anew `again_s` seconds after each failure.

    `name`: the work's name in the log; `fault`: called with that name to count a failure.
    """
    while True:
        try:
            await work()
        except Exception:  # noqa: BLE001 - the outermost loop: logged and counted
            _log.exception("%s failed in the router; it starts anew", name)
            fault(name)
            await asyncio.sleep(again_s)
        else:
            return
