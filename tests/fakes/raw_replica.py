"""A replica that says what it is told, byte for byte, be it HTTP or not."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress

_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)
_MODELS = {"object": "list", "data": [{"id": "demo-base", "object": "model", "created": 1, "owned_by": "x"}]}
# What a request is answered with: all at once, or part by part. Its connection ends after an empty part.
Said = Callable[[bytes], Sequence[bytes]]


def answer(body: bytes, status: int = 200, kind: str = "application/json", extra: bytes = b"") -> bytes:
    """A whole answer of a known length."""
    head = f"HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n".encode()
    return head + extra + b"\r\n" + body


def chunked(*parts: bytes, end: bool = True) -> bytes:
    """An event stream in chunks."""
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    return head + b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + (b"0\r\n\r\n" if end else b"")


class RawReplica:
    """Answers posts as `said` tells from their bodies, and probes as a plain server does. `asked`: the bodies;
    `closed`: connections that have ended. Open it with `running`."""

    token = ""

    def __init__(self, said: Said, name: str = "raw") -> None:
        self._said = said
        self.name = name
        self.port = 0
        self.asked: list[bytes] = []
        self.closed = 0

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    @asynccontextmanager
    async def running(self) -> AsyncIterator["RawReplica"]:
        """Listens until the block ends."""
        tasks: set[asyncio.Task[None]] = set()

        def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            tasks.add(asyncio.create_task(self._serve(reader, writer)))

        server = await asyncio.start_server(begin, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            while await self._answer(reader, writer):
                pass
        self.closed += 1
        writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        length = _LENGTH.search(head)
        body = await reader.readexactly(int(length[1])) if length else b""
        if head.startswith(b"GET"):
            known = b"/models" in head.split(b"\r\n")[0] or b"/health" in head.split(b"\r\n")[0]
            writer.write(answer(json.dumps(_MODELS).encode(), 200 if known else 404))
            return True
        self.asked.append(body)
        for part in self._said(body):
            if not part:
                return False
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0)
        return True
