"""The child processes of a launcher: their specification, and a running child, whose output is passed on in lines."""

import asyncio
import os
import re
import signal
from asyncio.subprocess import DEVNULL, Process
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Literal, Self

from patchbay.core.prctl import end_with_parent
from patchbay.launch.backoff import RestartConfig
from patchbay.launch.descendants import Descendants
from patchbay.launch.lines import pump

Role = Literal["replica", "router"]
LineSink = Callable[[str, list[str]], Awaitable[None]]

_MAX_ERROR_LINES: Final = 40
_MAX_LINE_CHARACTERS: Final = 2000
_OUTPUT_GRACE_S: Final = 2.0
# The start of an error line of our own commands, or of Python's.
_ERROR_LINE: Final = re.compile(r"(?:[Ee]rror|patchbay[\w -]*): ")


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """The specification of a process to keep running.

    `ready_url` answers 200 once it is ready, and 503 with its phase before; `health_url` answers 503 once it is beyond
    recovery (None: its health is not probed). It is killed where it is not ready `start_timeout_s` seconds after its
    start, or still runs `stop_timeout_s` seconds after it was asked to end. Replicas end after the router. `env` is
    added to this process's own environment.
    """

    name: str
    role: Role
    argv: tuple[str, ...]
    ready_url: str
    health_url: str | None = None
    start_timeout_s: float = 600
    stop_timeout_s: float = 45
    restart: RestartConfig = field(default_factory=RestartConfig)
    env: Mapping[str, str] = field(default_factory=dict)


class Child:
    """A running process, in a session of its own so that a terminal's Ctrl-C reaches only its parent."""

    def __init__(self, spec: ProcessSpec, process: Process, pipes: tuple[int, int]) -> None:
        self._spec = spec
        self._process = process
        self._pipes = pipes
        self._pumps: list[asyncio.Task[None]] = []
        self._error_lines: deque[str] = deque(maxlen=_MAX_ERROR_LINES)

    @classmethod
    async def start(cls, spec: ProcessSpec, descendants: Descendants) -> Self:
        """Starts the process of `spec`. Raises OSError where it cannot be executed.

        Its output stays in the pipes until `pass_on_output` reads them. `descendants` keeps track of what it starts.
        """
        out, out_end = os.pipe()
        err, err_end = os.pipe()
        try:
            process = await descendants.start(lambda: _execute(spec, out_end, err_end))
        except OSError:
            os.close(out)
            os.close(err)
            raise
        finally:
            os.close(out_end)
            os.close(err_end)
        return cls(spec, process, (out, err))

    def pass_on_output(self, sink: LineSink, tasks: asyncio.TaskGroup) -> None:
        """Passes the lines that it writes to `sink` from now on, with its name. The reading runs in `tasks`."""

        async def remember(name: str, lines: list[str]) -> None:
            self._error_lines.extend(line[:_MAX_LINE_CHARACTERS] for line in lines[-_MAX_ERROR_LINES:] if line.strip())
            await sink(name, lines)

        out, err = self._pipes
        self._pumps = [
            tasks.create_task(_pump_pipe(out, partial(sink, self._spec.name))),
            tasks.create_task(_pump_pipe(err, partial(remember, self._spec.name))),
        ]

    @property
    def pid(self) -> int:
        """The process id, which is also that of the process group."""
        return self._process.pid

    async def wait(self) -> int:
        """Waits for the process to end, and returns its exit code, negative for a signal."""
        return await self._process.wait()

    def terminate(self) -> None:
        """Asks the process to end, but not its descendants: they still work on the requests that it drains."""
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Kills the process. `Descendants.end_left_by` ends its descendants."""
        with suppress(ProcessLookupError):
            self._process.kill()

    async def rest_of_output(self) -> None:
        """Waits until all that it wrote has been passed on, though not for long: another process may hold the pipe."""
        _, stuck = await asyncio.wait(self._pumps, timeout=_OUTPUT_GRACE_S)
        for task in stuck:
            task.cancel()

    def last_error(self) -> str | None:
        """Returns its last line that begins as errors do, else its last line on standard error, or None."""
        for line in reversed(self._error_lines):
            if match := _ERROR_LINE.match(line):
                return line[match.end() :]
        return self._error_lines[-1] if self._error_lines else None


async def _execute(spec: ProcessSpec, out: int, err: int) -> Process:
    """Starts the process on pipes of our own.

    With asyncio's pipes, the process would not count as ended until all its descendants close them.
    """
    return await asyncio.create_subprocess_exec(
        *spec.argv,
        stdin=DEVNULL,
        stdout=out,
        stderr=err,
        env={**os.environ, "PYTHONUNBUFFERED": "1", **spec.env},
        start_new_session=True,
        preexec_fn=end_with_parent(),
    )


async def _pump_pipe(descriptor: int, sink: Callable[[list[str]], Awaitable[None]]) -> None:
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    pipe = os.fdopen(descriptor, "rb", buffering=0)
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
    try:
        await pump(reader, sink)
    finally:
        transport.close()
