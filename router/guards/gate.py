"""The way out of a stream that somebody judges: events wait until what they say was judged, and go out in their order.

Before the rules, so that what these hold back is as far as the client is, wherever the stream is ended.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

from adapters.errors import GuardFailed
from router.guards.answers.events import split
from router.guards.answers.spoken import Spoken
from router.guards.answers.stop import Codec, StreamStopped
from router.guards.judges.panel import FAILED, Panel

_MOST_BYTES = 16 * 1024 * 1024


class Gate:
    """`let_go`: sends what may go to the client."""

    def __init__(self, endpoint: str, panel: Panel, codec: Codec, let_go: Callable[[bytes], None]) -> None:
        self._panel = panel
        self._codec = codec
        self._let_go = let_go
        self._spoken = Spoken(endpoint)
        self._waiting: deque[tuple[int, bytes]] = deque()
        self._bytes = 0
        self._judged = 0
        self._more = asyncio.Event()

    def put(self, events: bytes) -> None:
        """Takes the stream's next events, which are whole. Raises StreamStopped where rules end it, and GuardFailed
        where more waits than may."""
        for event, data in split(events):
            self._spoken.add(data)
            self._waiting.append((self._spoken.length, event))
            self._bytes += len(event)
        if self._bytes > _MOST_BYTES:
            raise GuardFailed(f"More than {_MOST_BYTES} bytes of the answer wait to be judged.")
        self._release()
        if self._is_due:
            self._more.set()

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
        while self._judged < self._spoken.length:
            await self._judge()
        self._release()

    @property
    def _is_due(self) -> bool:
        return self._spoken.length - self._judged >= self._panel.every_chars

    async def _judge_on(self) -> None:
        while True:
            await self._more.wait()
            self._more.clear()
            while self._is_due:
                await self._judge()

    async def _judge(self) -> None:
        length = self._spoken.length
        for span in await self._panel.answer(dict(self._spoken.texts)):
            if span.action == "block":
                if span.kind == FAILED:
                    raise GuardFailed(
                        f"The guard '{span.guard}' could not judge the answer, so it was not let through."
                    )
                raise StreamStopped(self._codec.stop(b"".join(event for _, event in self._waiting)))
        self._judged = length
        self._release()

    def _release(self) -> None:
        until = self._judged + self._panel.lag
        ready: list[bytes] = []
        while self._waiting and self._waiting[0][0] <= until:
            ready.append(self._waiting.popleft()[1])
        if ready:
            self._bytes -= sum(map(len, ready))
            if let_go := self._codec.feed(b"".join(ready)):
                self._let_go(let_go)
