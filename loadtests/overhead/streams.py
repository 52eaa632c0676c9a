"""Many streams at once, from a process of its own: `python -m loadtests.overhead.streams URL COUNT CHUNKS PAUSE_MS`.

Prints `open` once every stream has its first bytes, then JSON: how many were whole and how many were not.
"""

import asyncio
import json
import sys
import time
from typing import cast
from urllib.parse import urlsplit

import uvloop

_DONE = b"data: [DONE]"
_WAIT_S = 180


def request_bytes(host: str, *, stream: bool, chunks: int = 0, pause_ms: int = 0) -> bytes:
    """A chat request as it goes on the wire. `chunks` and `pause_ms`: as the fake engine is to answer."""
    fields = {
        "model": "fake",
        "messages": [{"role": "user", "content": "Hello"}],
        "stream": stream,
        "max_tokens": chunks,
        "user": str(pause_ms),
    }
    body = json.dumps(fields).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n"
    return head.encode() + b"content-length: %d\r\n\r\n" % len(body) + body


class Stream(asyncio.Protocol):
    """One stream of the crowd. `began` and `whole` are futures: its first bytes, and whether it ended as it should."""

    def __init__(self, request: bytes) -> None:
        loop = asyncio.get_running_loop()
        self._request = request
        self._tail = b""
        self.began: asyncio.Future[float] = loop.create_future()
        self.whole: asyncio.Future[bool] = loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        if not self.began.done():
            self.began.set_result(time.perf_counter())
        self._tail = (self._tail + data)[-64:]
        if _DONE in self._tail and self._tail.endswith(b"0\r\n\r\n"):
            self._end(whole=True)
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(whole=False)

    def _end(self, *, whole: bool) -> None:
        if not self.began.done():
            self.began.set_result(0.0)
        if not self.whole.done():
            self.whole.set_result(whole)


async def run(url: str, count: int, chunks: int, pause_ms: int) -> dict[str, int]:
    """Opens `count` streams as fast as they are taken, and reads them to their end."""
    parts = urlsplit(url)
    request = request_bytes(parts.netloc, stream=True, chunks=chunks, pause_ms=pause_ms)
    loop = asyncio.get_running_loop()
    streams: list[Stream] = []
    for begun in range(count):
        _, stream = await loop.create_connection(lambda: Stream(request), parts.hostname or "", parts.port or 80)
        streams.append(stream)
        if begun % 50 == 49:
            await asyncio.sleep(0.01)
    async with asyncio.timeout(_WAIT_S):
        await asyncio.gather(*(stream.began for stream in streams))
        print("open", flush=True)  # noqa: T201 - it is a program that talks to another
        ended = await asyncio.gather(*(stream.whole for stream in streams))
    return {"whole": sum(ended), "failed": count - sum(ended)}


if __name__ == "__main__":
    print(json.dumps(uvloop.run(run(sys.argv[1], *map(int, sys.argv[2:5])))), flush=True)  # noqa: T201
