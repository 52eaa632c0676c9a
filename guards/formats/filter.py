"""Stream filter: a codec in a stream's path, with short work on the loop and long work in threads.

While a thread works, the replica is held back.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Protocol

from patchbay.core.errors import GuardFailed, PatchbayError
from patchbay.core.offload import Offload
from patchbay.guards.formats.codec import Codec

# Bytes of events from which they are filtered in a thread. Their JSON is decoded and walked, so a byte costs more than
# one of a text.
_LONG_EVENTS = 4 * 1024
# Characters gathered for a check of the whole text, from which a thread is used: any event may complete the text.
_LONG_TEXT = 8 * 1024


class StreamSource(Protocol):
    """The source that a stream is read from."""

    def pause(self) -> None:
        """Stops reading for now."""

    def resume(self) -> None:
        """Reads on."""

    def stop(self, cause: PatchbayError) -> None:
        """Stops reading for good, and raises `cause` in whoever reads from it."""


class Filter:
    """Passes a stream's events through a codec, in their order.

    It is a `Flow`: held back by its client or by its own work, it holds back the source that `reads_from` named.
    `codec`: filters the events; `offload`: runs long work in threads; `send`: takes what may go to the client;
    `gathered`: returns the characters of texts that the codec will check at their ends; `hard`: whether the check of a
    short text may take long, too.
    """

    def __init__(
        self,
        codec: Codec,
        offload: Offload,
        send: Callable[[bytes], None],
        gathered: Callable[[], int] = lambda: 0,
        *,
        hard: bool = False,
    ) -> None:
        self.codec = codec
        self.offload = offload
        self._gathered = gathered
        self._hard = hard
        self._send = send
        self._source: StreamSource | None = None
        self._blocked = False
        self._waiting: list[bytes] = []
        self._work: asyncio.Task[None] | None = None

    def reads_from(self, source: StreamSource) -> None:
        """Sets the source that the events come from."""
        self._source = source

    def pause(self) -> None:
        """Holds the source back for now."""
        self._blocked = True
        if self._source is not None:
            self._source.pause()

    def resume(self) -> None:
        """Lets the source go on, once the filter's own work is done."""
        self._blocked = False
        if self._source is not None and self._work is None:
            self._source.resume()

    def put(self, events: bytes) -> None:
        """Takes the next events, which are whole. Raises what the codec raises, at once or where the source is read."""
        if self._work is None and len(events) < _LONG_EVENTS and not self._may_judge_long:
            if out := self.codec.feed(events):
                self._send(out)
            return
        # While work is under way, later events have to wait for it, however short they are.
        self._waiting.append(events)
        if self._work is None:
            if self._source is not None:
                self._source.pause()
            self._work = asyncio.get_running_loop().create_task(self._filter_waiting())

    async def drain(self) -> None:
        """Waits until all that was put has gone through. Raises what the codec raises."""
        if self._work is not None:
            await self._work

    async def finish(self) -> bytes:
        """Returns what is still to go out once the stream has ended. Raises what the codec raises."""
        await self.drain()
        return await self.offload.run(self.codec.finish, 0, hard=self._may_judge_long)

    @property
    def _may_judge_long(self) -> bool:
        return self._hard or self._gathered() > _LONG_TEXT

    async def close(self) -> None:
        """Cancels the work under way."""
        if self._work is not None:
            self._work.cancel()
            await asyncio.gather(self._work, return_exceptions=True)

    async def _filter_waiting(self) -> None:
        # A source that stayed paused by an error of any kind would keep its reader waiting for ever.
        failure: PatchbayError | None = GuardFailed("The guards broke off.")
        try:
            while self._waiting:
                events = b"".join(self._waiting)
                self._waiting.clear()
                work = partial(self.codec.feed, events)
                if out := await self.offload.run(work, len(events), hard=self._may_judge_long):
                    self._send(out)
            failure = None
        except PatchbayError as error:
            failure = error
            raise
        finally:
            if failure is not None and self._source is not None:
                self._source.stop(failure)
        self._work = None
        if self._source is not None and not self._blocked:
            self._source.resume()
