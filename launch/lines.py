"""The splitting of a process's output into whole lines, in bounded memory."""

import asyncio
from collections.abc import Awaitable, Callable

LONGEST_LINE_BYTES = 1024 * 1024
_READ_BYTES = 64 * 1024


class LineSplitter:
    """A splitter of a stream of bytes into lines. Lines longer than `longest` bytes come in pieces of that size."""

    def __init__(self, longest: int = LONGEST_LINE_BYTES) -> None:
        self._longest = longest
        self._rest = bytearray()

    def feed(self, chunk: bytes) -> list[str]:
        """Takes `chunk`, and returns the lines that it completes, without their line ends."""
        *complete, rest = chunk.split(b"\n")
        lines = []
        for part in complete:
            self._rest += part
            lines += self._pieces()
            lines.append(self._decode_first(len(self._rest)))
        self._rest += rest
        return lines + self._pieces()

    def end(self) -> list[str]:
        """Returns the last line, where the stream ended without a line end."""
        return [self._decode_first(len(self._rest))] if self._rest else []

    def _pieces(self) -> list[str]:
        pieces = []
        while len(self._rest) > self._longest:
            pieces.append(self._decode_first(self._longest))
        return pieces

    def _decode_first(self, length: int) -> str:
        line = bytes(self._rest[:length])
        del self._rest[:length]
        return line.decode(errors="replace").removesuffix("\r")


async def pump(reader: asyncio.StreamReader, sink: Callable[[list[str]], Awaitable[None]]) -> None:
    """Passes every line of `reader` to `sink` until the stream ends. A slow sink only slows the writer down."""
    splitter = LineSplitter()
    while chunk := await reader.read(_READ_BYTES):
        if lines := splitter.feed(chunk):
            await sink(lines)
    if lines := splitter.end():
        await sink(lines)
