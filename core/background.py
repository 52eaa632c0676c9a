"""The outermost loop of background work: what fails in there is logged and counted, and the work begins anew.

A task that ends with an error nobody awaits is silent: the router would answer on without what the task did.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Final

_log = logging.getLogger("patchbay.router")
_AGAIN_S: Final = 1.0


async def keep_running(
    name: str,
    work: Callable[[], Coroutine[Any, Any, None]],
    fault: Callable[[str], None] = lambda name: None,
    *,
    again_s: float = _AGAIN_S,
) -> None:
    """Runs `work` until it ends or is cancelled, and anew `again_s` seconds after each failure. `fault`: counts one,
    by `name`."""
    while True:
        try:
            await work()
        except Exception:  # noqa: BLE001 - the outermost loop: logged and counted
            _log.exception("%s failed in the router; it starts anew", name)
            fault(name)
            await asyncio.sleep(again_s)
        else:
            return
