"""Callers in a closed loop: `python -m loadtests.overhead.closed URL CALLERS SECONDS CHUNKS`, a process of its own.

Each asks again as soon as it has its answer, on one connection; `CHUNKS` 0 is a small call, more a stream of so many,
5 ms apart. Prints JSON: how many answers there were, and the milliseconds that they took, by percentile.
"""

import asyncio
import json
import sys
import time
from typing import cast
from urllib.parse import urlsplit

import uvloop

from loadtests.overhead.streams import request_bytes

_PAUSE_MS = 5
_LENGTH = b"content-length: "


class Caller(asyncio.Protocol):
    """A caller in the closed loop.

    `took_s`: of each answer; `failed`: answers that were no 200, and connections that ended.
    """

    def __init__(self, request: bytes, until: float) -> None:
        self._request = request
        self._until = until
        self._read = b""
        self._began = 0.0
        self.took_s: list[float] = []
        self.failed = 0
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._ask()

    def data_received(self, data: bytes) -> None:
        self._read += data
        if not _is_whole(self._read):
            return
        self.failed += not self._read.startswith(b"HTTP/1.1 200")
        self.took_s.append(time.perf_counter() - self._began)
        self._read = b""
        if time.perf_counter() < self._until:
            self._ask()
        else:
            self._end()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.over.done():
            self.failed += 1
            self._end()

    def _ask(self) -> None:
        self._began = time.perf_counter()
        self._transport.write(self._request)

    def _end(self) -> None:
        if not self.over.done():
            self.over.set_result(None)
        self._transport.close()


def _is_whole(read: bytes) -> bool:
    if read.endswith(b"\r\n0\r\n\r\n"):
        return True
    head, ended, body = read.partition(b"\r\n\r\n")
    place = head.find(_LENGTH)
    return bool(ended) and place >= 0 and len(body) >= int(head[place + len(_LENGTH) :].split(b"\r\n", 1)[0])


async def run(url: str, callers: int, seconds: float, chunks: int) -> dict[str, float]:
    """Asks for `seconds`."""
    parts = urlsplit(url)
    request = request_bytes(parts.netloc, stream=chunks > 0, chunks=chunks, pause_ms=_PAUSE_MS)
    until = time.perf_counter() + seconds
    loop = asyncio.get_running_loop()
    made = [
        (await loop.create_connection(lambda: Caller(request, until), parts.hostname or "", parts.port or 80))[1]
        for _ in range(callers)
    ]
    await asyncio.gather(*(caller.over for caller in made))
    took = sorted(taken for caller in made for taken in caller.took_s)
    at = {name: 1000 * took[min(len(took) - 1, int(len(took) * share))] for name, share in _SHARES.items()}
    return {"answers": len(took), "failed": sum(caller.failed for caller in made), **at}


_SHARES = {"p50_ms": 0.5, "p99_ms": 0.99, "p999_ms": 0.999, "max_ms": 1.0}


if __name__ == "__main__":
    print(json.dumps(uvloop.run(run(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])))))  # noqa: T201
