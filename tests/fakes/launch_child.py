"""A child process that behaves as its arguments say: a tiny HTTP server that answers `/readyz`, and ways to fail.

python -m tests.fakes.launch_child --port 9001 [--ready-after 0.2] [--fail-with "error: no such base"] ...
"""

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path
from typing import TextIO

_SLEEPER = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--config", type=Path, help="read, and said to have been")
    parser.add_argument("--ready-after", type=float, default=0.0, help="seconds; below 0: never")
    parser.add_argument("--refuse-first", type=int, default=0, help="how many times to say that it is not ready yet")
    parser.add_argument("--fail-with", help="print this and exit with code 1 instead of getting ready")
    parser.add_argument("--fail-by", type=int, help="die of this signal instead of getting ready")
    parser.add_argument("--once", type=Path, help="behave badly only if this file does not exist yet, and make it")
    parser.add_argument("--die-after", type=float, help="seconds after which to die of SIGKILL")
    parser.add_argument("--ignore-sigterm", action="store_true")
    parser.add_argument("--dead-after", type=float, help="seconds after which to say that it is dead, and sleep on")
    parser.add_argument("--silent-after", type=float, help="seconds after which to stand still, its port open")
    parser.add_argument("--silent-for", type=float, default=600, help="how many seconds to stand still")
    parser.add_argument("--grandchildren", action="store_true", help="start one in this group, and one in its own")
    parser.add_argument("--shared-memory", action="store_true", help="hold some, as an engine does, and say its name")
    parser.add_argument("--drain-s", type=float, default=0.0)
    parser.add_argument("--chatter", type=int, default=0, help="lines to write, alternately as output and error")
    parser.add_argument("--huge-line", type=int, default=0, help="length of a line to write")
    parser.add_argument("--say", action="append", default=[])
    return parser.parse_args()


def _say(line: str, stream: TextIO | None = None) -> None:
    """Writes `line`, also where its reader, our parent, has died."""
    with suppress(BrokenPipeError):
        target = stream or sys.stdout
        target.write(f"{line}\n")
        target.flush()


class Child:
    """The process, as its arguments want it."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._arguments = arguments
        self._started = time.monotonic()
        self._stop = asyncio.Event()
        self._asked = 0
        self._bad = arguments.once is None or not arguments.once.exists()
        if arguments.once is not None:
            arguments.once.touch()

    async def run(self) -> int:
        """Serves until SIGTERM, and returns the exit code."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._asked_to_stop)
        self._talk()
        if self._arguments.grandchildren and self._bad:
            self._start_grandchildren()
        if self._arguments.shared_memory:
            self._memory = SharedMemory(create=True, size=4096)
            _say(f"memory {self._memory.name}")
        if self._arguments.fail_with and self._bad:
            _say(self._arguments.fail_with, sys.stderr)
            return 1
        if self._arguments.fail_by and self._bad:
            os.kill(os.getpid(), self._arguments.fail_by)
        if self._arguments.die_after is not None and self._bad:
            loop.call_later(self._arguments.die_after, os.kill, os.getpid(), signal.SIGKILL)
        if self._arguments.silent_after is not None and self._bad:
            loop.call_later(self._arguments.silent_after, time.sleep, self._arguments.silent_for)
        server = await asyncio.start_server(self._answer, "127.0.0.1", self._arguments.port)
        await self._stop.wait()
        await asyncio.sleep(self._arguments.drain_s)
        server.close()
        _say("bye")
        return 0

    def _asked_to_stop(self) -> None:
        if not self._arguments.ignore_sigterm:
            self._stop.set()
        _say("asked to stop")

    def _talk(self) -> None:
        for line in self._arguments.say:
            _say(line)
        if self._arguments.config is not None:
            _say(f"read {len(self._arguments.config.read_bytes()) > 0}")
        if self._arguments.huge_line:
            _say("h" * self._arguments.huge_line)
        for number in range(self._arguments.chatter):
            _say(f"line {number} " + "x" * 80, sys.stderr if number % 2 else sys.stdout)

    def _start_grandchildren(self) -> None:
        for own_session in (False, True):
            process = subprocess.Popen([sys.executable, "-c", _SLEEPER], start_new_session=own_session)
            _say(f"grandchild {process.pid}")

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        waited = time.monotonic() - self._started
        if head.startswith(b"GET /healthz"):
            dead = self._bad and self._arguments.dead_after is not None and waited > self._arguments.dead_after
            await _reply(writer, 503 if dead else 200, {"status": "dead" if dead else "ok"})
            return
        self._asked += 1
        ready = 0 <= self._arguments.ready_after <= waited and self._asked > self._arguments.refuse_first
        phase = "ready" if ready else "loading"
        await _reply(writer, 200 if ready else 503, {"phase": phase, "detail": "" if ready else "weights"})


async def _reply(writer: asyncio.StreamWriter, status: int, said: dict[str, str]) -> None:
    body = json.dumps(said).encode()
    head = f"HTTP/1.1 {status} As said\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
    writer.write(head.encode() + body)
    await writer.drain()
    writer.close()


if __name__ == "__main__":
    sys.exit(asyncio.run(Child(_arguments()).run()))
