"""The router's process: a router that runs until a signal ends it, under a watchdog that ends what hangs."""

import asyncio
import contextlib
import signal
from collections.abc import Callable
from functools import partial
from types import FrameType

from patchbay.core.background import keep_running
from patchbay.core.garbage_collection import freeze, settle
from patchbay.core.log_queue import LogQueue
from patchbay.core.watchdog import Watchdog
from patchbay.router.process.app import Router
from patchbay.router.settings.config import RouterConfig
from patchbay.router.settings.policy import ReadPolicy

# How often the watchdog hears of the event loop within the time for which it may stand still.
_BEATS = 20


async def serve(config: RouterConfig, deadman: Watchdog, lines: LogQueue, read: ReadPolicy | None = None) -> None:
    """Runs a router until SIGTERM or SIGINT; a second one ends the draining. Call it on the main thread.

    Whatever hangs, `deadman` ends the process within the configured time. `lines`: its log. Raises StartError.
    """

    def ending(seconds: float) -> None:
        deadman.end_within(seconds + config.end_timeout_s, code=1, why="the router is to end")

    router = Router(config, read, ending)
    lines.on_drop = router.metrics.process.log_line_dropped
    settle()
    asked = asyncio.Event()
    _listen_to_signals(router, ending, config.drain_timeout_s)
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, asked.set)
    beside = [
        asyncio.create_task(keep_running("reload", partial(_reload_when, asked, router), router.metrics.process.fault)),
        asyncio.create_task(_beat(deadman, config.stall_timeout_s)),
        asyncio.create_task(_freeze_when_up(router)),
    ]
    try:
        await router.run()
    finally:
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)


def _listen_to_signals(router: Router, ending: Callable[[float], None], drain_s: float) -> None:
    """Python's own handlers, and not the event loop's: those do nothing while the loop stands still."""
    loop = asyncio.get_running_loop()

    def asked(_number: int, _frame: FrameType | None) -> None:
        ending(drain_s)
        with contextlib.suppress(RuntimeError):  # the loop has ended already
            loop.call_soon_threadsafe(router.stop)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, asked)


async def _freeze_when_up(router: Router) -> None:
    await router.up.wait()
    freeze()


async def _beat(deadman: Watchdog, stall_timeout_s: float) -> None:
    while True:
        deadman.beat(stall_timeout_s)
        await asyncio.sleep(stall_timeout_s / _BEATS)


async def _reload_when(asked: asyncio.Event, router: Router) -> None:
    while True:
        await asked.wait()
        asked.clear()
        await router.reload()
