"""A fake safety service: a real HTTP server over loopback that speaks the HTTP guard's contract, and Presidio's."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Literal

from aiohttp import web

Fault = Literal["none", "hang", "error_500", "nonsense", "reset"]


class FakeJudge:
    """Flags texts that hold `word`. `gate`: where it is set, each verdict waits for one release; `asked`: the bodies
    that it got. Open it with `running`."""

    def __init__(self, word: str = "poison") -> None:
        self.word = word
        self.fault: Fault = "none"
        self.gate: asyncio.Semaphore | None = None
        self.asked: list[dict[str, Any]] = []
        self.tokens: list[str | None] = []
        self.port = 0

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def texts(self) -> list[str]:
        """The texts that it was asked about."""
        return [str(one["text"]) for one in self.asked]

    @asynccontextmanager
    async def running(self) -> AsyncIterator["FakeJudge"]:
        """Listens until the block ends."""
        app = web.Application(client_max_size=2**24)
        app.router.add_post("/judge", self._judge)
        app.router.add_post("/analyze", self._analyze)
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.port = runner.addresses[0][1]
        try:
            yield self
        finally:
            await runner.cleanup()

    async def _taken(self, request: web.Request) -> dict[str, Any]:
        fields: dict[str, Any] = json.loads(await request.read())
        self.asked.append(fields)
        self.tokens.append(request.headers.get("authorization"))
        if self.gate is not None:
            await self.gate.acquire()
        if self.fault == "hang":
            await asyncio.Event().wait()
        if self.fault == "reset" and request.transport is not None:
            request.transport.abort()
        if self.fault == "error_500":
            raise web.HTTPInternalServerError
        return fields

    async def _judge(self, request: web.Request) -> web.Response:
        fields = await self._taken(request)
        if self.fault == "nonsense":
            return web.Response(text='{"flagged": "maybe"}')
        return web.json_response({"flagged": self.word in fields["text"], "kind": "poison", "score": 0.9})

    async def _analyze(self, request: web.Request) -> web.Response:
        fields = await self._taken(request)
        if self.fault == "nonsense":
            return web.Response(text="{}")
        at = fields["text"].find(self.word)
        found = [{"entity_type": "PERSON", "start": at, "end": at + len(self.word), "score": 0.85}]
        return web.json_response(found if at >= 0 else [])
