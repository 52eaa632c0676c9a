"""From what a process writes to whole lines, in bounded memory."""

import asyncio
from collections.abc import Awaitable, Callable

LONGEST_LINE_BYTES = 1024 * 1024
_READ_BYTES = 64 * 1024


class LineSplitter:
    """Cuts a stream of bytes into lines. A line longer than `longest` bytes is passed on in pieces of that size."""

    def __init__(self, longest: int = LONGEST_LINE_BYTES) -> None:
        self._longest = longest
        self._rest = bytearray()

    def feed(self, chunk: bytes) -> list[str]:
        """The lines that `chunk` completes, without their ends."""
        *complete, rest = chunk.split(b"\n")
        lines = []
        for part in complete:
            self._rest += part
            lines += self._pieces()
            lines.append(self._take(len(self._rest)))
        self._rest += rest
        return lines + self._pieces()

    def end(self) -> list[str]:
        """The last line, where the stream ended without an end of line."""
        return [self._take(len(self._rest))] if self._rest else []

    def _pieces(self) -> list[str]:
        pieces = []
        while len(self._rest) > self._longest:
            pieces.append(self._take(self._longest))
        return pieces

    def _take(self, length: int) -> str:
        taken = bytes(self._rest[:length])
        del self._rest[:length]
        return taken.decode(errors="replace").removesuffix("\r")


async def pump(reader: asyncio.StreamReader, sink: Callable[[list[str]], Awaitable[None]]) -> None:
    """Hands every line of `reader` to `sink` until the stream ends. A slow sink slows the writer down, no more."""
    splitter = LineSplitter()
    while chunk := await reader.read(_READ_BYTES):
        if lines := splitter.feed(chunk):
            await sink(lines)
    if lines := splitter.end():
        await sink(lines)
