"""Stream gate: it holds the events of a stream until judges have seen their text, or until a second answer is there.

Events leave in their order. The gate comes before the rules, so that what the rules have released is also what the
client has, wherever a judge ends the stream.
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

# Bytes of events that may wait for verdicts.
_MOST_BYTES = 16 * 1024 * 1024

# Takes all events of a stream, and returns those that the client is to get.
Mend = Callable[[bytes], Awaitable[bytes]]


class StreamGate:
    """Holds a stream's events back until they may be released.

    `endpoint`: the endpoint's name; `panel`: the judges, None where there are none; `output`: the filter that takes
    what is released; `mend`: sees all events before any is released, None where nothing has to.
    """

    def __init__(
        self,
        endpoint: str,
        panel: JudgePanel | None,
        output: Filter,
        mend: Mend | None = None,
    ) -> None:
        self._panel = panel
        self._mend = mend
        self._unmended: list[bytes] = []
        self._output = output
        self._text = PlainText(endpoint)
        self._held: deque[tuple[int, bytes]] = deque()
        self._bytes = 0
        self._judged = 0
        self._more = asyncio.Event()

    def put(self, events: bytes) -> None:
        """Takes the stream's next events, which are whole. Raises StreamStopped where rules end it, and GuardFailed
        where more waits than is allowed."""
        self._bytes += len(events)
        if self._bytes > _MOST_BYTES:
            raise GuardFailed(f"More than {_MOST_BYTES} bytes of the answer wait for guards.")
        if self._mend is not None:
            self._unmended.append(events)
            return
        self._read(events)
        self._release()
        if self._is_due:
            self._more.set()

    def _read(self, events: bytes) -> None:
        if self._panel is None:
            self._held.append((0, events))
            return
        for event, data in split(events):
            self._text.add(data)
            self._held.append((self._text.length, event))

    async def during(self, pump: Coroutine[Any, Any, None]) -> None:
        """Judges while `pump` runs, which calls `put`. Raises what `pump` raises, StreamStopped and GuardFailed."""
        pumping, judging = asyncio.create_task(pump), asyncio.create_task(self._judge_while_due())
        try:
            await asyncio.wait({pumping, judging}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            # Both may be over at the same time: a verdict then counts before whatever ended the pump.
            done = [task for task in (judging, pumping) if task.done()]
            for task in (pumping, judging):
                task.cancel()
            await asyncio.gather(pumping, judging, return_exceptions=True)
        for task in done:
            task.result()

    async def drain(self) -> None:
        """Judges the rest and releases it. Raises as `put` does."""
        if (mend := self._mend) is not None:
            self._mend = None
            events = await mend(b"".join(self._unmended))
            self._unmended, self._bytes = [], len(events)
            await self._output.offload.run(lambda: self._read(events), len(events))
        while self._judged < self._text.length:
            await self._judge()
        self._release()

    @property
    def _is_due(self) -> bool:
        return self._panel is not None and self._text.length - self._judged >= self._panel.every_chars

    async def _judge_while_due(self) -> None:
        while True:
            await self._more.wait()
            self._more.clear()
            while self._is_due:
                await self._judge()

    async def _judge(self) -> None:
        # Taken before the await: the text grows while it is judged.
        length, panel = self._text.length, self._panel
        for span in await panel.answer(dict(self._text.texts)) if panel is not None else ():
            check_judged(span, "the answer")
            if span.action == "block":
                await self._output.drain()
                raise StreamStopped(self._output.codec.stop(b"".join(event for _, event in self._held)))
        self._judged = length
        self._release()

    def _release(self) -> None:
        until = self._judged + (self._panel.lag if self._panel is not None else 0)
        ready: list[bytes] = []
        while self._held and self._held[0][0] <= until:
            ready.append(self._held.popleft()[1])
        if ready:
            self._bytes = sum(len(event) for _, event in self._held)
            self._output.put(b"".join(ready))
