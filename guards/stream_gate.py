"""The way out of a stream that somebody judges, or may have to be asked for once more: events wait until what they say
was judged, and go out in their order.

Before the rules, so that what these hold back is as far as the client is, wherever the stream is ended.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from patchbay.core.errors import GuardFailed
from patchbay.guards.formats.codec import StreamStopped
from patchbay.guards.formats.filter import Filter
from patchbay.guards.formats.plain_text import PlainText
from patchbay.guards.formats.sse import split
from patchbay.guards.judges.panel import JudgePanel, check_judged

_MOST_BYTES = 16 * 1024 * 1024


# Makes of all events of a stream those that it is to have.
Mend = Callable[[bytes], Awaitable[bytes]]


class StreamGate:
    """`panel`: who judges, None where nobody does; `way_out`: takes what may go to the client; `mend`: what is to see
    all events before any of them goes on, where something is."""

    def __init__(
        self,
        endpoint: str,
        panel: JudgePanel | None,
        way_out: Filter,
        mend: Mend | None = None,
    ) -> None:
        self._panel = panel
        self._mend = mend
        self._unseen: list[bytes] = []
        self._way_out = way_out
        self._spoken = PlainText(endpoint)
        self._waiting: deque[tuple[int, bytes]] = deque()
        self._bytes = 0
        self._judged = 0
        self._more = asyncio.Event()

    def put(self, events: bytes) -> None:
        """Takes the stream's next events, which are whole. Raises StreamStopped where rules end it, and GuardFailed
        where more waits than may."""
        self._bytes += len(events)
        if self._bytes > _MOST_BYTES:
            raise GuardFailed(f"More than {_MOST_BYTES} bytes of the answer wait for guards.")
        if self._mend is not None:
            self._unseen.append(events)
            return
        self._read(events)
        self._release()
        if self._is_due:
            self._more.set()

    def _read(self, events: bytes) -> None:
        if self._panel is None:
            self._waiting.append((0, events))
            return
        for event, data in split(events):
            self._spoken.add(data)
            self._waiting.append((self._spoken.length, event))

    async def during(self, pump: Coroutine[Any, Any, None]) -> None:
        """Judges while `pump` runs, which calls `put`. Raises what it raises, and StreamStopped and GuardFailed."""
        pumping, judging = asyncio.create_task(pump), asyncio.create_task(self._judge_on())
        try:
            await asyncio.wait({pumping, judging}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            # What was judged last counts, whoever was first.
            over = [task for task in (judging, pumping) if task.done()]
            for task in (pumping, judging):
                task.cancel()
            await asyncio.gather(pumping, judging, return_exceptions=True)
        for task in over:
            task.result()

    async def drain(self) -> None:
        """Judges the rest, and lets it go. Raises as `put` does."""
        if (mend := self._mend) is not None:
            self._mend = None
            events = await mend(b"".join(self._unseen))
            self._unseen, self._bytes = [], len(events)
            await self._way_out.offload.run(lambda: self._read(events), len(events))
        while self._judged < self._spoken.length:
            await self._judge()
        self._release()

    @property
    def _is_due(self) -> bool:
        return self._panel is not None and self._spoken.length - self._judged >= self._panel.every_chars

    async def _judge_on(self) -> None:
        while True:
            await self._more.wait()
            self._more.clear()
            while self._is_due:
                await self._judge()

    async def _judge(self) -> None:
        length, panel = self._spoken.length, self._panel
        for span in await panel.answer(dict(self._spoken.texts)) if panel is not None else ():
            check_judged(span, "the answer")
            if span.action == "block":
                await self._way_out.drain()
                raise StreamStopped(self._way_out.codec.stop(b"".join(event for _, event in self._waiting)))
        self._judged = length
        self._release()

    def _release(self) -> None:
        until = self._judged + (self._panel.lag if self._panel is not None else 0)
        ready: list[bytes] = []
        while self._waiting and self._waiting[0][0] <= until:
            ready.append(self._waiting.popleft()[1])
        if ready:
            self._bytes = sum(len(event) for _, event in self._waiting)
            self._way_out.put(b"".join(ready))
