"""The life cycle of a replica's process: listen, load, serve, drain, end, with time limits that nothing can exceed."""

import asyncio
import contextlib
import signal
import socket
import time
from collections.abc import Awaitable, Callable, Iterator
from types import FrameType
from typing import Final

import uvicorn

from patchbay.core.errors import PatchbayError, StartError
from patchbay.core.loop_watch import LoopWatch
from patchbay.core.watchdog import Watchdog
from patchbay.server.alive import POLL_S, while_alive
from patchbay.server.app import ServerApp
from patchbay.server.config import ServerConfig
from patchbay.server.engine import Engine
from patchbay.server.metrics import ServerMetrics
from patchbay.server.processes import engine_processes, kill
from patchbay.server.replica import ServingReplica

_KEEP_ALIVE_S: Final = 75
# The time that answers which have begun get to end once draining is over. Mostly, they end with an error.
_SHUTDOWN_ANSWERS_S: Final = 2
# Heartbeats in one `stall_timeout_s`.
_BEATS: Final = 20
StartEngine = Callable[[ServerConfig], Awaitable[Engine]]


class _Server(uvicorn.Server):
    """uvicorn's server without its signal handlers, because the order of the shutdown is ours."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves the signals alone."""
        yield


class _Process:
    """The tasks of one replica's process, each of which is essential: when one ends, so does the process.

    `deadman` ends the process where a shutdown takes too long or the event loop stands still.
    """

    def __init__(self, replica: ServingReplica, server: _Server, deadman: Watchdog) -> None:
        self._replica = replica
        self._server = server
        self._deadman = deadman
        self._stopping = asyncio.Event()

    async def run(self, listener: socket.socket, start_engine: StartEngine) -> None:
        """Runs until a signal asks it to end. Raises the error of the task that ended it otherwise."""
        self._stop_on_signals()
        serving = asyncio.create_task(self._serve(listener), name="http")
        life = asyncio.create_task(_live(self._replica, start_engine), name="engine")
        beating = asyncio.create_task(self._beat(), name="beat")
        watch = asyncio.create_task(self._watch(), name="event loop watch")
        try:
            await _first_of({life, serving, beating, watch}, self._stopping)
        except PatchbayError as error:
            self._end_within(0, code=1, why=str(error))
            raise
        finally:
            # Set before anything that can hang.
            self._end_within(self._drain_s, code=1, why=f"{self._name} is to end")
            await self._end(life)
            self._server.should_exit = True
            await asyncio.gather(serving, return_exceptions=True)
            beating.cancel()
            watch.cancel()
            await asyncio.gather(beating, watch, return_exceptions=True)
            await self._replica.close()
            kill(engine_processes())

    @property
    def _name(self) -> str:
        return self._replica.config.name

    @property
    def _drain_s(self) -> float:
        """The time limit for draining, in seconds: 0 where the engine is not loaded or is dead, and answers nothing."""
        replica = self._replica
        answers_nothing = not replica.loaded or replica.failure is not None
        return 0.0 if answers_nothing else replica.config.drain_timeout_s

    def _end_within(self, drain_s: float, *, code: int, why: str) -> None:
        self._deadman.end_within(drain_s + self._replica.config.end_timeout_s, code=code, why=why)

    def _stop_on_signals(self) -> None:
        """Sets Python's own signal handlers, not the event loop's: those do nothing while the loop stands still."""
        loop = asyncio.get_running_loop()

        def on_signal(number: int, _frame: FrameType | None) -> None:
            why = f"{self._name} was asked to end by {signal.Signals(number).name}"
            if self._stopping.is_set():
                self._deadman.end_within(0, code=128 + number, why=f"{why} again")
                return
            self._end_within(self._drain_s, code=128 + number, why=why)
            with contextlib.suppress(RuntimeError):  # the loop has ended already
                loop.call_soon_threadsafe(self._stopping.set)

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, on_signal)

    async def _serve(self, listener: socket.socket) -> None:
        await self._server.serve(sockets=[listener])
        if not self._server.should_exit:
            raise PatchbayError(f"{self._name} no longer listens.")

    async def _beat(self) -> None:
        stall_s = self._replica.config.stall_timeout_s
        while True:
            self._deadman.beat(stall_s)
            await asyncio.sleep(stall_s / _BEATS)

    async def _watch(self) -> None:
        """Watches the event loop, but only once the base model is loaded.

        Loading stalls the loop, and no request is answered before.
        """
        while not self._replica.loaded:  # noqa: ASYNC110 - it is a state, and no event
            await asyncio.sleep(POLL_S)
        await LoopWatch(meter=self._replica.metrics.loop, busy=lambda: self._replica.in_flight > 0).run()

    async def _end(self, life: asyncio.Task[None]) -> None:
        """Drains the replica, and ends the task `life`.

        An engine that is still loading does so in a thread, which cannot be cancelled: it ends with its processes.
        """
        replica = self._replica
        replica.drain()
        deadline = time.monotonic() + self._drain_s
        # An engine that dies meanwhile has nothing to finish.
        while replica.in_flight and time.monotonic() < deadline and replica.failure is None:  # noqa: ASYNC110
            await asyncio.sleep(POLL_S / 5)
        self._end_within(0, code=1, why=f"{self._name} has drained")
        while not life.done():
            if replica.loaded:
                life.cancel()
            else:
                kill(engine_processes())
            await asyncio.wait((life,), timeout=POLL_S)
        await asyncio.gather(life, return_exceptions=True)


async def serve(config: ServerConfig, start_engine: StartEngine, deadman: Watchdog) -> None:
    """Serves one replica until SIGTERM or SIGINT, then drains it. Call it on the main thread, in a process of its own.

    Listens at once, so that its phase can be read while `start_engine` loads the engine. Whatever hangs, `deadman` ends
    the process within the configured time. Raises StartError where it cannot come up, and PatchbayError where the
    engine dies.
    """
    replica = ServingReplica(config, ServerMetrics())
    listener = _listen(config)
    server = _Server(
        uvicorn.Config(
            ServerApp(replica),
            access_log=False,
            log_level="warning",
            server_header=False,
            lifespan="off",
            # Longer than the router keeps idle connections. The router must be the one to close them, or it could send
            # a request into one that is being closed here.
            timeout_keep_alive=_KEEP_ALIVE_S,
            # A request on a dead engine would wait for ever, and the shutdown with it.
            timeout_graceful_shutdown=_SHUTDOWN_ANSWERS_S,
        )
    )
    await _Process(replica, server, deadman).run(listener, start_engine)


async def _live(replica: ServingReplica, start_engine: StartEngine) -> None:
    """Starts the engine, opens the replica, and watches the engine for as long as it lives.

    Raises PatchbayError where the engine dies.
    """
    replica.detail = "loading the base model"
    engine = await start_engine(replica.config)
    await while_alive(engine.failure, replica.open(engine))
    while (reason := engine.failure()) is None:  # noqa: ASYNC110 - vLLM has no event for it
        await asyncio.sleep(POLL_S)
    replica.break_off()
    raise PatchbayError(f"The engine of {replica.config.name} died: {reason}")


async def _first_of(tasks: set[asyncio.Task[None]], stopping: asyncio.Event) -> None:
    """Waits for the signal to stop or for the first of `tasks` to end, and raises the error of that task."""
    stop = asyncio.create_task(stopping.wait(), name="stop signal")
    done, _ = await asyncio.wait({*tasks, stop}, return_when=asyncio.FIRST_COMPLETED)
    stop.cancel()
    await asyncio.gather(stop, return_exceptions=True)
    for task in done & tasks:
        await task


def _listen(config: ServerConfig) -> socket.socket:
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((config.host, config.port))
    except OSError as error:
        listener.close()
        raise StartError(
            f"Cannot listen on {config.host}:{config.port}: {error.strerror}.", hint="Set another port."
        ) from error
    return listener
