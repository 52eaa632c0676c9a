"""The starter of a confined process: it watches over it, and translates however it ends into our errors.

Whatever happens to the process, it is gone with all that it started when `run` returns, and so is what it opened.
"""

import json
import logging
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any, cast

from patchbay.adapters.sandbox.bounds import Bounds, Pace, Stop, Task
from patchbay.core import errors
from patchbay.core.errors import AdapterError, PatchbayError, SourceError, TooCostly

_log = logging.getLogger("patchbay.confined")
_POLL_S = 0.1
_MESSAGE_BYTES = 2 * 1024**2
_STDERR_BYTES = 4096
_LAST_S = 2.0
_MIB = 1024**2
# All of the environment that every confined process has.
_COMMON = ("LANG", "LC_ALL", "LC_CTYPE", "TZ", "LD_LIBRARY_PATH")
NOT_ALLOWED = "it is at, or leads to, a host or an address that may not be reached from here"
ALLOW_HINT = "Whoever runs it can allow that: registry.sources.allow for hosts, registry.sources.private for addresses."


def run(task: Task, bounds: Bounds, *, workdir: Path, stop: Stop | None = None) -> Any:
    """Runs `task` in a process of its own, within `bounds`. Returns its result, in JSON's types. Blocks.

    Raises what the task raised, where that is one of our errors; TooCostly where it took more than it may; WorkStopped
    where `stop` was asked; AdapterError, and logs it, where it failed in a way that nobody expected.
    """
    with tempfile.TemporaryFile(dir=workdir) as job:
        job.write(_job(task, bounds))
        job.seek(0)
        child = _Child(task, bounds, job, workdir)
    with child:
        child.watch(stop or Stop())
    return child.result()


class _Child:
    """One confined process, from its start to its end."""

    def __init__(self, task: Task, bounds: Bounds, job: IO[bytes], workdir: Path) -> None:
        self._task = task
        self._bounds = bounds
        self._began = time.monotonic()
        self._message = bytearray()
        self._stderr = bytearray()
        common = {name: os.environ[name] for name in _COMMON if name in os.environ}
        # Threads of numerical libraries would each take memory, and there is one small thing to do.
        common |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2", "TMPDIR": str(workdir)}
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-m", "patchbay.adapters.sandbox.child"],
            stdin=job,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=common | dict(task.environment),
            cwd=workdir,
            start_new_session=True,
        )

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        """Ends the process and all that it started, and closes its pipes."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()

    def watch(self, stop: Stop) -> None:
        """Reads what the process writes until it has ended. Raises WorkStopped and TooCostly."""
        pace = Pace(self._task.least, self._began) if self._task.least is not None else None
        with selectors.DefaultSelector() as selector:
            selector.register(cast("IO[bytes]", self._process.stdout), selectors.EVENT_READ, self._message)
            selector.register(cast("IO[bytes]", self._process.stderr), selectors.EVENT_READ, self._stderr)
            while selector.get_map():
                for key, _ in selector.select(_POLL_S):
                    self._read(selector, key)
                if not _has_ended(self._process.pid):
                    stop.check()
                    self._check_limits(pace)
                elif not selector.select(0):
                    # Somebody else may hold its pipes; what it wrote itself has been read.
                    break
        self._wait(stop)

    def _wait(self, stop: Stop) -> None:
        while not _has_ended(self._process.pid):
            stop.check()
            self._check_limits(None)
            time.sleep(_POLL_S / 10)

    def _read(self, selector: selectors.BaseSelector, key: selectors.SelectorKey) -> None:
        block = os.read(key.fd, 65536)
        if not block:
            selector.unregister(key.fileobj)
        key.data.extend(block)
        if len(self._message) > _MESSAGE_BYTES:
            raise self._too_costly(f"what there is to say of it takes more than {_MESSAGE_BYTES} bytes")
        del self._stderr[:-_STDERR_BYTES]

    def _check_limits(self, pace: Pace | None) -> None:
        now = time.monotonic()
        if now - self._began > self._bounds.timeout_s:
            raise self._too_costly(f"it took more than {self._bounds.timeout_s:g} seconds", "timeout_s")
        grows, least = self._task.grows, self._task.least
        if pace is not None and grows is not None and least is not None and pace.is_too_slow(_size_of(grows), now):
            raise self._too_costly(
                f"less than {least.bytes_per_s:g} bytes a second came for {least.over_s:g} seconds",
                "least_bytes_per_s",
            )

    def result(self) -> Any:
        """Returns the result that the process wrote. Raises the error, where it wrote one."""
        code = self._process.returncode
        message = _parsed(self._message)
        if code == -signal.SIGXCPU or (code == -signal.SIGKILL and message is None):
            raise self._kill_error(code)
        if message is None:
            self._log_end(f"ended with {code}")
            raise self._crash_error("the process that worked on it ended in the middle of it")
        if "value" in message:
            return message["value"]
        raise self._error_of(message)

    def _error_of(self, message: Mapping[str, Any]) -> PatchbayError:
        if message.get("memory"):
            mib = self._bounds.memory_bytes // _MIB
            return self._too_costly(f"it took more than {mib} MiB of memory", "memory_mib")
        if message.get("refused"):
            return SourceError(f"it cannot be fetched: {NOT_ALLOWED}.", hint=ALLOW_HINT)
        if "error" in message:
            return _rebuilt(message["error"])
        fault = message.get("fault", {})
        self._log_end(f"raised {fault.get('what')}\n{fault.get('trace')}")
        return self._crash_error(str(fault.get("what")))

    def _kill_error(self, code: int) -> PatchbayError:
        if code == -signal.SIGXCPU:
            return self._too_costly(f"it took more than {self._bounds.cpu_s} seconds of processor time", "cpu_s")
        self._log_end("was killed")
        return self._too_costly("the process that worked on it was killed, as where a machine's memory runs out")

    def _too_costly(self, what: str, setting: str | None = None) -> TooCostly:
        hint = f"Where that is right for it, raise registry.sources.{setting}." if setting else None
        return TooCostly(f"The adapter is given up: {what}.", hint=hint, reason="limits")

    def _crash_error(self, what: str) -> AdapterError:
        if self._task.name == "fetch":
            return SourceError(f"it cannot be fetched: {what}.", hint="The log of whoever fetched it tells more.")
        return AdapterError(f"The adapter cannot be read: {what}.", hint="The log tells more.", reason="crash")

    def _log_end(self, what: str) -> None:
        stderr = self._stderr.decode("utf-8", "replace").strip()
        _log.warning(
            "the confined process of the task '%s' %s%s", self._task.name, what, f"\n{stderr}" if stderr else ""
        )


def _job(task: Task, bounds: Bounds) -> bytes:
    document = {
        "task": task.name,
        "work": task.work,
        "bounds": asdict(bounds),
        "reach": task.reach,
        "parent": os.getpid(),
    }
    return json.dumps(document).encode()


def _rebuilt(document: Mapping[str, Any]) -> PatchbayError:
    """Rebuilds the error that the process wrote. One of a kind that does not exist here becomes an AdapterError."""
    kind = getattr(errors, str(document.get("kind")), None)
    message, hint = str(document.get("message")), document.get("hint")
    if isinstance(kind, type) and issubclass(kind, AdapterError):
        return kind(message, hint=hint, reason=document.get("reason"))
    if kind in (errors.ConfigError, errors.ArtifactError, errors.RegistryError):
        return cast("type[PatchbayError]", kind)(message, hint=hint)
    return AdapterError(message, hint=hint)


def _parsed(raw: bytes | bytearray) -> dict[str, Any] | None:
    try:
        message = json.loads(raw)
    except ValueError:
        return None
    return message if isinstance(message, dict) else None


def _has_ended(pid: int) -> bool:
    """Whether the process has ended. It is not reaped, so that its id cannot belong to another process yet."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _size_of(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with suppress(OSError):
            total += path.stat().st_size
    return total
