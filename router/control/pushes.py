"""The pushes that clients of the admin port ask for: limited in number, at work and waiting, and each ended when its
client is gone."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path

from patchbay.adapters.publish import Publisher, Pushed, PushRequest, refusal_of
from patchbay.adapters.sandbox.bounds import Pace, Stop
from patchbay.adapters.sources.authority import shown_source
from patchbay.adapters.sources.config import SourcesConfig
from patchbay.core.errors import AdapterError, BodyTooLarge, PatchbayError, RequestTimeout, Unavailable
from patchbay.core.thread_pools import Threads
from patchbay.router.telemetry.metrics import Metrics

_log = logging.getLogger("patchbay.router")
_AGAIN_S = 10
_WRITERS = 2
_MESSAGE = "The push was given up: {}."


class Pushes:
    """Runs the pushes of this router's clients.

    They have threads of their own. No thread parses an archive: processes do that (`adapters.sandbox`), which end with
    the push.
    """

    def __init__(self, publisher: Publisher, config: SourcesConfig, metrics: Metrics) -> None:
        self._publisher = publisher
        self._config = config
        self._metrics = metrics
        self._threads = Threads("pushes", config.at_a_time)
        self._writers = Threads("uploads", _WRITERS)
        self._stops: set[Stop] = set()
        self._places = 0
        self._ending = False

    @contextmanager
    def place(self) -> Iterator[None]:
        """Reserves a place among the pushes that are at work or wait. Raises Unavailable where there is none."""
        most = self._config.at_a_time + self._config.waiting
        if self._ending or self._places >= most:
            self._metrics.registry.refusal("busy")
            why = "it is shutting down" if self._ending else f"{self._places} pushes are at work or wait"
            raise Unavailable(f"This router takes no push now: {why}.", retry_after_s=_AGAIN_S)
        self._places += 1
        try:
            yield
        finally:
            self._places -= 1

    async def push(self, request: PushRequest, *, actor: str, left: "asyncio.Future[None]") -> Pushed:
        """Makes a push, within a place.

        `actor`: who asks, for the audit; `left`: done when the client has gone, which ends the push. Raises the errors
        of `Publisher.push`, in words that reveal nothing about this machine; the original error is logged, and counted.
        """
        stop = Stop()
        self._stops.add(stop)
        left.add_done_callback(lambda _: stop.ask(_MESSAGE.format("its client has gone")))
        try:
            if self._ending:
                stop.ask(_MESSAGE.format("this router is ending"))
            return await self._done(request, actor, stop)
        except PatchbayError as error:
            reason = refusal_of(error)
            self._metrics.registry.refusal(reason)
            source = shown_source(request.source)
            _log.warning(
                "the push of '%s' from %s by %s failed (%s): %s", request.adapter, source, actor, reason, error
            )
            if isinstance(error, AdapterError):
                raise self._publisher.told(error) from error
            raise
        finally:
            self._stops.discard(stop)

    async def _done(self, request: PushRequest, actor: str, stop: Stop) -> Pushed:
        work = asyncio.ensure_future(self._threads.run(self._publisher.push, request, actor=actor, stop=stop))
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            stop.ask(_MESSAGE.format("it is no longer wanted"))
            # The thread removes the push's files when it ends.
            with suppress(PatchbayError):
                await work
            raise

    @asynccontextmanager
    async def received(self, body: AsyncIterator[bytes], suffix: str, limit_bytes: int) -> AsyncIterator[Path]:
        """Stores the archive in the `body` of a request as a file, for the block.

        `suffix`: the file's; `limit_bytes`: the largest body. Raises BodyTooLarge, and RequestTimeout where the body
        comes too slowly.
        """
        with ExitStack() as held:
            # In a thread, since it first removes files that an earlier upload left.
            folder = await self._writers.run(held.enter_context, self._publisher.workdir("upload"))
            archive = folder / f"upload{suffix}"
            with archive.open("wb") as file:
                async for chunk in self._kept_to_pace(body, limit_bytes):
                    await self._writers.run(file.write, chunk)
            yield archive

    async def _kept_to_pace(self, body: AsyncIterator[bytes], limit_bytes: int) -> AsyncIterator[bytes]:
        clock = asyncio.get_running_loop().time
        pace, taken = Pace(self._config.least, clock()), 0
        try:
            async with asyncio.timeout(self._config.timeout_s):
                while True:
                    async with asyncio.timeout(self._config.slow_s):
                        chunk = await anext(body, None)
                    if chunk is None:
                        return
                    taken += len(chunk)
                    if taken > limit_bytes:
                        raise BodyTooLarge(limit_bytes)
                    if pace.is_too_slow(taken, clock()):
                        raise TimeoutError
                    yield chunk
        except TimeoutError as error:
            least, over = self._config.least_bytes_per_s, self._config.slow_s
            raise RequestTimeout(
                f"The body came slower than {least:g} bytes a second for {over:g} seconds, or took more than "
                f"{self._config.timeout_s:g} seconds.",
                hint="An operator can change these limits: registry.sources.",
            ) from error

    def stop(self) -> None:
        """Ends the pushes under way, and refuses new ones."""
        self._ending = True
        for stop in tuple(self._stops):
            stop.ask(_MESSAGE.format("this router is ending"))

    def close(self) -> None:
        """Ends the threads."""
        self._threads.close()
        self._writers.close()
