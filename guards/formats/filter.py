"""A codec on a stream's way: little is filtered at once, and much in a thread, while the replica is held back."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Protocol

from patchbay.core.errors import PatchbayError
from patchbay.core.offload import Offload
from patchbay.guards.formats.codec import Codec

# Of events. Their JSON is decoded and walked, so a byte costs more than one of a text.
_LONG = 4 * 1024
# Characters of a text that is judged once it is whole, which any event may make it.
_LONG_TEXT = 8 * 1024


class StreamSource(Protocol):
    """What a stream is read from."""

    def pause(self) -> None:
        """Makes no more for now."""

    def resume(self) -> None:
        """Goes on."""

    def stop(self, cause: PatchbayError) -> None:
        """Makes no more at all, and whoever reads it is told of `cause`."""


class Filter:
    """Passes a stream's events through `codec`, in their order, and what comes out to `let_go`. A `Flow`: held back by
    its client or by its own work, it holds back what `reads_from` named. `gathered`: characters of its texts that the
    codec will judge at their ends; `hard`: whether judging a short one may take long, too."""

    def __init__(
        self,
        codec: Codec,
        offload: Offload,
        let_go: Callable[[bytes], None],
        gathered: Callable[[], int] = lambda: 0,
        *,
        hard: bool = False,
    ) -> None:
        self.codec = codec
        self.offload = offload
        self._gathered = gathered
        self._hard = hard
        self._let_go = let_go
        self._source: StreamSource | None = None
        self._blocked = False
        self._waiting: list[bytes] = []
        self._work: asyncio.Task[None] | None = None

    def reads_from(self, source: StreamSource) -> None:
        """Takes where the events come from."""
        self._source = source

    def pause(self) -> None:
        """Makes no more for now."""
        self._blocked = True
        if self._source is not None:
            self._source.pause()

    def resume(self) -> None:
        """Goes on, once its own work is done."""
        self._blocked = False
        if self._source is not None and self._work is None:
            self._source.resume()

    def put(self, events: bytes) -> None:
        """Takes the next events, which are whole. Raises what `codec` raises, at once or from the source's reading."""
        if self._work is None and len(events) < _LONG and not self._may_judge_long:
            if out := self.codec.feed(events):
                self._let_go(out)
            return
        self._waiting.append(events)
        if self._work is None:
            if self._source is not None:
                self._source.pause()
            self._work = asyncio.get_running_loop().create_task(self._work_off())

    async def drain(self) -> None:
        """Waits until all that was put has gone through. Raises what `codec` raises."""
        if self._work is not None:
            await self._work

    async def finish(self) -> bytes:
        """What is still to go out where the stream has ended. Raises what `codec` raises."""
        await self.drain()
        return await self.offload.run(self.codec.finish, 0, hard=self._may_judge_long)

    @property
    def _may_judge_long(self) -> bool:
        return self._hard or self._gathered() > _LONG_TEXT

    async def close(self) -> None:
        """Ends what is under way."""
        if self._work is not None:
            self._work.cancel()
            await asyncio.gather(self._work, return_exceptions=True)

    async def _work_off(self) -> None:
        try:
            while self._waiting:
                events = b"".join(self._waiting)
                self._waiting.clear()
                work = partial(self.codec.feed, events)
                if out := await self.offload.run(work, len(events), hard=self._may_judge_long):
                    self._let_go(out)
        except PatchbayError as error:
            if self._source is not None:
                self._source.stop(error)
            raise
        self._work = None
        if self._source is not None and not self._blocked:
            self._source.resume()
