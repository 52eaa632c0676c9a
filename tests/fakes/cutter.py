"""A way to a server that can be cut: to whoever uses it, the server has died when it is."""

import asyncio
import random
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Trouble:
    """What happens to what comes back: it is read in pieces of `piece` bytes, each `delay_s` late, and after `after`
    bytes the connection is reset, ended halfway, or says no more."""

    then: Literal["pass", "cut", "end", "swallow"] = "pass"
    after: int = 0
    piece: int = 65536
    delay_s: float = 0.0


NO_TROUBLE = Trouble()


class Cutter:
    """Passes bytes on to `port` on loopback. `cut` resets every connection through it, `die` refuses new ones as well,
    until `revive`. While it is `troubled`, what happens to a connection is up to `rng`. `passed`: bytes that came back
    so far; `streams`: connections that are open. Open it with `running`."""

    def __init__(self, port: int, rng: random.Random | None = None) -> None:
        self._target = port
        self._rng = rng or random.Random(1)  # noqa: S311
        self.troubled = False
        self.passed = 0
        self._open: set[asyncio.StreamWriter] = set()
        self._serving: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.port = 0

    @property
    def streams(self) -> int:
        """Connections through it."""
        return len(self._open) // 2

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Cutter"]:
        """Listens until the block ends."""
        await self.revive()
        try:
            yield self
        finally:
            self.die()
            while self._serving:
                await asyncio.wait(self._serving)

    async def revive(self) -> None:
        """Listens, on the port that it had."""
        self._server = await asyncio.start_server(self._begin, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    def die(self) -> None:
        """Ends as a process does that is killed."""
        if self._server is not None:
            self._server.close()
        self.cut()

    def cut(self) -> int:
        """Resets what is under way, and tells how many connections that were."""
        for writer in self._open:
            _reset(writer)
        count = len(self._open)
        self._open.clear()
        return count

    def _count(self, size: int) -> None:
        self.passed += size

    def _begin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    def _trouble(self) -> Trouble:
        rng = self._rng
        kind = rng.choices(("pass", "slow", "cut", "end", "swallow"), (50, 20, 20, 5, 5))[0]
        after = rng.randrange(20_000)
        if kind == "slow":
            return Trouble(piece=rng.randrange(20, 400), delay_s=0.001)
        return {
            "pass": NO_TROUBLE,
            "cut": Trouble("cut", after),
            "end": Trouble("end", after),
            "swallow": Trouble("swallow", after),
        }[kind]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            back_reader, back_writer = await asyncio.open_connection("127.0.0.1", self._target)
            both = {writer, back_writer}
            self._open |= both
            trouble = self._trouble() if self.troubled else NO_TROUBLE
            await asyncio.gather(
                _copy(reader, back_writer, NO_TROUBLE), _copy(back_reader, writer, trouble, self._count)
            )
            self._open -= both
        writer.close()


async def _copy(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    trouble: "Trouble",
    count: Callable[[int], None] = lambda size: None,
) -> None:
    passed = 0
    with suppress(OSError):
        while data := await reader.read(trouble.piece):
            count(len(data))
            await asyncio.sleep(trouble.delay_s)
            passed += len(data)
            if passed > trouble.after and trouble.then == "cut":
                writer.write(data[: trouble.after - passed])
                _reset(writer)
            elif passed > trouble.after and trouble.then == "end":
                writer.write_eof()
                trouble = Trouble(then="swallow", after=0)
            elif passed <= trouble.after or trouble.then == "pass":
                writer.write(data)
                await writer.drain()
    with suppress(OSError):
        writer.close()


def _reset(writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    if sock is not None:
        with suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
