"""A fake engine that some requests end: it dies with all that it was doing, and comes back after a moment."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from tests.fakes.engine import FakeEngine, Seen

MARK = "poison"


class MortalEngine(FakeEngine):
    """Dies of any request whose body has `MARK` in it: before it says anything, or, with `at_token`, where a stream
    comes to that token, be it of the stream's own or of one that is carried on. `deaths`: how often it has died;
    `cured`: whether it does not any more."""

    def __init__(self, name: str, *, at_token: int | None = None, away_s: float = 0.1, **settings: Any) -> None:
        super().__init__(name, **settings)
        self.at_token = at_token
        self.away_s = away_s
        self.deaths = 0
        self.cured = False
        self._reviving: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def running_server(self) -> AsyncIterator["FakeEngine"]:
        """The engine, listening, but while it is away, until the block ends."""
        await self.start()
        try:
            yield self
        finally:
            if self._reviving is not None:
                await self._reviving
            await self.stop()

    async def _play(self, request: web.Request, seen: Seen) -> web.StreamResponse:
        if not self.cured and MARK.encode() in seen.body and (self.at_token is None or not seen.json.get("stream")):
            await self._die_of_it()
        return await super()._play(request, seen)

    async def _stream(self, request: web.Request, seen: Seen) -> web.StreamResponse:
        prompt = seen.json.get("prompt")
        carried = isinstance(prompt, list)
        if self.cured or self.at_token is None or not (carried or MARK.encode() in seen.body):
            return await super()._stream(request, seen)
        response = web.StreamResponse(headers={"content-type": "text/event-stream; charset=utf-8"})
        response.enable_chunked_encoding()
        await response.prepare(request)
        begun = len(prompt) - 3 if carried else 0
        for chunk in self._events(seen)[: max(0, self.at_token - begun)]:
            await response.write(chunk)
        await asyncio.sleep(0.05)
        await self._die_of_it()
        return response

    async def _die_of_it(self) -> None:
        if self._reviving is None or self._reviving.done():
            self.deaths += 1
            self._reviving = asyncio.create_task(self._go_away())
        # Until it is ended, with all else that the engine does.
        await asyncio.Event().wait()

    async def _go_away(self) -> None:
        await self.stop()
        await asyncio.sleep(self.away_s)
        await self.start()
