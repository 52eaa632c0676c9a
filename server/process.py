"""The life of a replica's process: listen, load, serve, drain, end, in that order."""

import asyncio
import contextlib
import signal
import socket
import time
from collections.abc import Awaitable, Callable, Iterator

import uvicorn

from adapters.errors import PatchbayError, StartError
from adapters.event_loop import LoopWatch
from server.app import ServerApp
from server.config import ServerConfig
from server.engine import Engine
from server.metrics import ServerMetrics
from server.processes import engine_processes, kill
from server.replica import Replica

_WATCH_S = 0.25
_KEEP_ALIVE_S = 75
StartEngine = Callable[[ServerConfig], Awaitable[Engine]]


class _Server(uvicorn.Server):
    """uvicorn, but for its signals: the order of the shutdown is ours."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves the signals alone."""
        yield


async def serve(config: ServerConfig, start_engine: StartEngine) -> None:
    """Serves one replica until SIGTERM or SIGINT, then drains it.

    Listens at once, so that its phase can be asked while the engine loads. Raises StartError where it cannot come up,
    and PatchbayError where the engine dies.
    """
    stopping = _stop_on_signals()
    replica = Replica(config, ServerMetrics())
    listener = _listen(config)
    server = _Server(
        uvicorn.Config(
            ServerApp(replica),
            access_log=False,
            log_level="warning",
            server_header=False,
            lifespan="off",
            # Longer than the router keeps idle ones: it must be the one to close them, however late it is.
            timeout_keep_alive=_KEEP_ALIVE_S,
        )
    )
    serving = asyncio.create_task(server.serve(sockets=[listener]), name="http")
    life = asyncio.create_task(_live(replica, start_engine), name="engine")
    watch = asyncio.create_task(LoopWatch(replica.metrics.loop).run(), name="event loop watch")
    try:
        await _first_of(life, stopping)
    finally:
        await _drain(replica)
        await _end_life(life, replica)
        server.should_exit = True
        await serving
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)
        await replica.close()
        kill(engine_processes())


async def _live(replica: Replica, start_engine: StartEngine) -> None:
    """Opens the replica and watches its engine, for as long as that lives."""
    replica.detail = "loading the base model"
    engine = await start_engine(replica.config)
    await replica.open(engine)
    while (reason := engine.failure()) is None:  # noqa: ASYNC110 - vLLM has no event for it
        await asyncio.sleep(_WATCH_S)
    raise PatchbayError(f"The engine of {replica.config.name} died: {reason}")


async def _first_of(life: asyncio.Task[None], stopping: asyncio.Event) -> None:
    stop = asyncio.create_task(stopping.wait(), name="stop signal")
    await asyncio.wait((life, stop), return_when=asyncio.FIRST_COMPLETED)
    stop.cancel()
    await asyncio.gather(stop, return_exceptions=True)
    if life.done():
        await life


async def _end_life(life: asyncio.Task[None], replica: Replica) -> None:
    """Ends the watch; an engine that is still loading does so in a thread, which ends when its processes do."""
    while not life.done():
        if replica.loaded:
            life.cancel()
        else:
            kill(engine_processes())
        await asyncio.wait((life,), timeout=_WATCH_S)
    await asyncio.gather(life, return_exceptions=True)


async def _drain(replica: Replica) -> None:
    replica.drain()
    deadline = time.monotonic() + replica.config.drain_timeout_s
    while replica.in_flight and time.monotonic() < deadline:  # noqa: ASYNC110 - once in a process's life
        await asyncio.sleep(_WATCH_S / 5)


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


def _stop_on_signals() -> asyncio.Event:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    return stopping
