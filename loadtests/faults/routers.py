"""The routers of a fault test, in processes of their own, that are ended, killed, starved and started again."""

import asyncio
import contextlib
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import aiohttp
import psutil
import yaml

from loadtests.servers import free_port
from patchbay.core.errors import StartError

ADMIN_TOKEN = "faults-admin-token"  # noqa: S105 - of servers on loopback that end with this run
# The time that a router has for its end: to finish requests, and then to stop.
DRAIN_S, END_S = 8.0, 8.0
_SLACK_S = 8.0
ENDS_WITHIN_S = DRAIN_S + END_S + _SLACK_S
# Beside other work a router takes half a minute to start.
_READY_S = 180.0
_LOOK_S = 0.1
_TIMEOUT = aiohttp.ClientTimeout(5)


@dataclass
class Way:
    """The way in which a router is started, where it differs from the default.

    `files`: its limit of file descriptors; `env`: more variables; `unread`: whether its standard error is a pipe that
    nobody reads; `arguments`: more command-line arguments.
    """

    files: int | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    unread: bool = False
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ended:
    """The end of a router that was asked to end. `code`: None where it had to be killed."""

    router: str
    code: int | None
    seconds: float


class RouterProcess:
    """A router in a process of its own.

    `life`: how often it was started; `ends`: the list to which each end that was asked for is added.
    """

    def __init__(self, name: str, folder: Path, config: Mapping[str, Any], ends: list[Ended]) -> None:
        self.name = name
        self.port, self.admin_port = free_port(), free_port()
        self.file = folder / f"{name}.yaml"
        self.log = folder / f"{name}.log"
        self._config = config
        self.good = ""
        self._write()
        self.life = 0
        self.ends = ends
        self._process: subprocess.Popen[bytes] | None = None
        self._pipes: list[IO[bytes]] = []

    @property
    def url(self) -> str:
        """The address of its public port."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def running(self) -> bool:
        """Whether its process is running."""
        return self._process is not None and self._process.poll() is None

    @property
    def means(self) -> psutil.Process:
        """Its process, for limits on its resources. Raises StartError where it does not run."""
        if self._process is None or not self.running:
            raise StartError(f"{self.name} does not run.")
        return psutil.Process(self._process.pid)

    def start(self, way: Way | None = None) -> None:
        """Starts the process, as usual or in that `way`."""
        way = way or Way()
        command = [sys.executable, "-m", "patchbay.router", "--config", str(self.file), *way.arguments]
        self.life += 1
        read, write = os.pipe() if way.unread else (None, None)
        with self.log.open("ab") as log:
            sink = log if write is None else os.fdopen(write, "wb")
            env = {**os.environ, **way.env}
            self._process = subprocess.Popen(command, stdout=log, stderr=sink, env=env)
        if read is not None:
            sink.close()
            self._pipes.append(os.fdopen(read, "rb"))
        if way.files is not None:
            self.means.rlimit(resource.RLIMIT_NOFILE, (way.files, way.files))

    async def ready(self, within_s: float = _READY_S) -> bool:
        """Whether it becomes ready within that time."""
        end_s = time.monotonic() + within_s
        async with aiohttp.ClientSession(timeout=_TIMEOUT) as session:
            while time.monotonic() < end_s and self.running:
                with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                    async with session.get(f"http://127.0.0.1:{self.admin_port}/readyz") as answer:
                        if answer.status == 200:
                            return True
                await asyncio.sleep(_LOOK_S)
        return False

    async def metric(self, name: str) -> float | None:
        """Returns the sum of a metric over its labels, None where the router does not answer."""
        shown = {"authorization": f"Bearer {ADMIN_TOKEN}"}
        try:
            url = f"http://127.0.0.1:{self.admin_port}/metrics"
            async with aiohttp.ClientSession(timeout=_TIMEOUT, headers=shown) as http, http.get(url) as answer:
                lines = (await answer.text()).splitlines()
        except (aiohttp.ClientError, TimeoutError):
            return None
        return sum(float(line.split()[-1]) for line in lines if line.startswith((f"{name} ", f"{name}{{")))

    def successor(self) -> "RouterProcess":
        """Returns another router for the same public port, which is not started yet."""
        made = RouterProcess(f"{self.name}.{self.life}", self.file.parent, self._config, self.ends)
        made.port = self.port
        made._write()
        return made

    def take_place_of(self, other: "RouterProcess") -> None:
        """Takes the name of `other`, which has ended, so that counts go on under it."""
        self.name, self.life = other.name, other.life + 1

    def _write(self) -> None:
        own = {"name": self.name, "port": self.port, "admin_port": self.admin_port, "admin_token": ADMIN_TOKEN}
        bounds = {"drain_timeout_s": DRAIN_S, "end_timeout_s": END_S}
        self.good = yaml.safe_dump({**own, **bounds, **self._config}, sort_keys=False)
        self.file.write_text(self.good, encoding="utf-8")

    def hang_up(self) -> None:
        """Asks it to reload its configuration (SIGHUP)."""
        self.means.send_signal(signal.SIGHUP)

    async def end(self) -> Ended:
        """Asks it to end (SIGTERM), and kills it after `ENDS_WITHIN_S` seconds."""
        begun, process = time.monotonic(), self._process
        if process is None or process.poll() is not None:
            return Ended(self.name, process.returncode if process else 0, 0.0)
        process.terminate()
        try:
            code: int | None = await asyncio.to_thread(process.wait, ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            self.kill()
            code = None
        ended = Ended(self.name, code, time.monotonic() - begun)
        self.ends.append(ended)
        self._close_pipes()
        return ended

    def kill(self) -> None:
        """Kills it (SIGKILL)."""
        if self._process is not None and self.running:
            self._process.kill()
            self._process.wait()
        self._close_pipes()

    def _close_pipes(self) -> None:
        while self._pipes:
            self._pipes.pop().close()
