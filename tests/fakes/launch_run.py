"""A run of `tests.fakes.launch_up` to drive from a test: its events, its log, its processes and its end."""

import asyncio
import contextlib
import json
import os
import socket
import sys
import uuid
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import psutil

_MARKER = "PATCHBAY_TEST_RUN"
_PATIENCE_S = 20.0

Json = dict[str, Any]
Found = TypeVar("Found")


def free_port() -> int:
    """A port on loopback that nobody listens on."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port: int = bound.getsockname()[1]
        return port


def is_listening(port: int) -> bool:
    """Whether somebody accepts connections on `port`."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def process(name: str, *behaviour: str, **spec: Any) -> Json:
    """A process of a plan: a fake child on a free port that behaves as told."""
    port = spec.pop("port", None) or free_port()
    return {
        "name": name,
        "role": "router" if name == "router" else "replica",
        "argv": [sys.executable, "-m", "tests.fakes.launch_child", "--port", str(port), *behaviour],
        "ready_url": f"http://127.0.0.1:{port}/readyz",
        "health_url": f"http://127.0.0.1:{port}/healthz",
        "restart": {"first_delay_s": 0.1},
        **spec,
    }


def port_of(spec: Json) -> int:
    """The port of a process of a plan."""
    return int(spec["argv"][spec["argv"].index("--port") + 1])


class Run:
    """A command under test. Every process below it carries a mark in its environment, by which it is found."""

    def __init__(self, up: Process, mark: str) -> None:
        self.up = up
        self.events: list[Json] = []
        self.output: list[str] = []
        self.log: list[str] = []
        self._mark = mark
        self._news = asyncio.Condition()
        self._reading: list[asyncio.Task[None]] = []

    @classmethod
    @asynccontextmanager
    async def start(cls, argv: Iterable[str], *, cwd: Path | None = None, **env: str) -> "AsyncIterator[Run]":
        """Runs `argv` with this interpreter; kills whatever is left of it in the end."""
        mark = uuid.uuid4().hex
        environment = {**os.environ, **env, _MARKER: mark}
        up = await asyncio.create_subprocess_exec(
            sys.executable, *argv, cwd=cwd, env=environment, stdout=PIPE, stderr=PIPE, limit=2**24
        )
        run = cls(up, mark)
        try:
            async with asyncio.TaskGroup() as tasks:
                run._reading = [
                    tasks.create_task(run._read(up.stdout, run.output)),
                    tasks.create_task(run._read(up.stderr, run.log)),
                ]
                yield run
                for task in run._reading:
                    task.cancel()
        finally:
            for left in run.processes():
                with contextlib.suppress(psutil.NoSuchProcess):
                    left.kill()
            await up.wait()

    async def event(self, kind: str, **fields: Any) -> Json:
        """Waits for an event of `kind` that has `fields`, and returns it."""
        return await self._find(lambda: next((e for e in self.events if _matches(e, {"event": kind, **fields})), None))

    async def line(self, part: str) -> str:
        """Waits for a line on either stream that has `part` in it."""
        return await self._find(lambda: next((line for line in self.output + self.log if part in line), None))

    async def end(self) -> int:
        """Waits for the end, and for all of the output; returns the exit code."""
        async with asyncio.timeout(_PATIENCE_S):
            await asyncio.wait(self._reading)
            return await self.up.wait()

    def processes(self) -> list[psutil.Process]:
        """Every living process of this run, the command itself included."""
        return [process for process in psutil.process_iter() if _mark_of(process) == self._mark]

    async def _find(self, search: Callable[[], Found | None]) -> Found:
        async with asyncio.timeout(_PATIENCE_S), self._news:
            while (found := search()) is None:
                await self._news.wait()
            return found

    async def _read(self, stream: asyncio.StreamReader | None, lines: list[str]) -> None:
        assert stream is not None
        async for raw in stream:
            line = raw.decode().removesuffix("\n")
            async with self._news:
                lines.append(line)
                if lines is self.output and line.startswith("{"):
                    self.events.append(json.loads(line))
                self._news.notify_all()


@asynccontextmanager
async def supervised(folder: Path, *processes: Json, as_json: bool = True) -> AsyncIterator[Run]:
    """A run of `processes`, told as JSON events or in plain lines."""
    plan = folder / "plan.json"
    plan.write_text(json.dumps({"processes": processes}))
    async with Run.start(["-m", "tests.fakes.launch_up", str(plan), *(["--json"] if as_json else [])]) as run:
        yield run


def _matches(event: Json, fields: Json) -> bool:
    return all(event.get(key) == value for key, value in fields.items())


def _mark_of(process: psutil.Process) -> str | None:
    try:
        return None if process.status() == psutil.STATUS_ZOMBIE else process.environ().get(_MARKER)
    except psutil.Error:
        return None
