"""A record of all processes below this one, so that none outlives the child that it came from.

An engine runs in processes of its own, below a replica's. When the replica is killed they go on, keep its memory and
its port, and may have left its process group. So the process tree is scanned now and then and remembered. Where the
system can (Linux), this process adopts orphans: then no process can escape.
"""

import asyncio
import os
import signal
from asyncio.subprocess import Process
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from typing import Final

import psutil

from patchbay.core.prctl import adopt_orphans

_SCAN_INTERVAL_S: Final = 2.0
_DEATH_TIMEOUT_S: Final = 3.0
_CLEANUP_TIMEOUT_S: Final = 10.0
_KILL_ROUNDS: Final = 5
_RESOURCE_TRACKER: Final = "multiprocessing.resource_tracker"


class Descendants:
    """The processes below this one, by the process id of the child that they came from."""

    def __init__(self) -> None:
        self._this_process = psutil.Process()
        self._preexisting = set(_children(self._this_process))
        self._below: dict[int, set[psutil.Process]] = {}
        self._adopts = adopt_orphans()
        self._scan_lock = asyncio.Lock()

    async def start(self, start: Callable[[], Awaitable[Process]]) -> Process:
        """Starts a child, which leads a process group of its own, and tracks its descendants from now on."""
        # With the lock, no scan sees the child before it is listed, and takes it for an orphan.
        async with self._scan_lock:
            process = await start()
            self._below[process.pid] = set()
        return process

    async def keep_looking(self) -> None:
        """Scans the process tree every two seconds, until cancelled."""
        while True:
            await asyncio.sleep(_SCAN_INTERVAL_S)
            async with self._scan_lock:
                await asyncio.to_thread(self._scan)

    async def end_left_by(self, pid: int) -> int:
        """Kills the processes that the dead child `pid` left behind, and returns their number."""
        async with self._scan_lock:
            ended = await asyncio.to_thread(self._end_left_by, pid)
            self._below.pop(pid, None)
        return ended

    def kill_all(self) -> None:
        """Kills every child that is still known and its descendants, and waits for the end of the latter."""
        for pid in self._below:
            kill_group(pid)
        for pid in self._below:
            self._end_left_by(pid)

    def _scan(self) -> None:
        """Records the processes below each child, forgets those that have ended, and reaps adopted ones."""
        for pid, known in self._below.items():
            with suppress(psutil.NoSuchProcess):
                known.update(_children(psutil.Process(pid), recursive=True))
            known.intersection_update([process for process in known if process.is_running()])
        for process in self._adopted():
            _reap(process)

    def _end_left_by(self, pid: int) -> int:
        """Kills in rounds, since a process may start another just before it is killed."""
        ended: set[psutil.Process] = set()
        for _ in range(_KILL_ROUNDS):
            remaining = self._left_by(pid)
            if not remaining:
                break
            ended |= remaining
            trackers = {process for process in remaining if _is_resource_tracker(process)}
            # Trackers end by themselves once the others are dead: they are killed only where they do not.
            _kill(remaining - trackers)
            _, stuck = psutil.wait_procs(trackers, timeout=_CLEANUP_TIMEOUT_S)
            _kill(stuck)
        kill_group(pid)
        return len(ended)

    def _left_by(self, pid: int) -> set[psutil.Process]:
        """Lists the live descendants of the dead child `pid`: those seen below it, and orphans of no other child."""
        seen = {process for process in self._below.get(pid, set()) if process.is_running()}
        others = {process for other, known in self._below.items() if other != pid for process in known}
        orphans = self._adopted() - others
        below = {child for process in seen | orphans for child in _children(process, recursive=True)}
        return seen | orphans | below

    def _adopted(self) -> set[psutil.Process]:
        """Lists the orphans that this process has adopted."""
        if not self._adopts:
            return set()
        return {child for child in _children(self._this_process) if child.pid not in self._below} - self._preexisting


def _is_resource_tracker(process: psutil.Process) -> bool:
    """Says whether `process` is Python's resource tracker, which frees shared memory of the dead, then ends by itself.

    Killed, it would leave hundreds of megabytes there with every engine that dies.
    Source: CPython, Lib/multiprocessing/resource_tracker.py.
    """
    try:
        return _RESOURCE_TRACKER in " ".join(process.cmdline())
    except psutil.Error:
        return False


def _kill(processes: Collection[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(processes, timeout=_DEATH_TIMEOUT_S)


def kill_group(pid: int) -> None:
    """Kills the process group that the child `pid` leads, if any of it is left."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _children(process: psutil.Process, *, recursive: bool = False) -> list[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        return process.children(recursive=recursive)
    return []


def _reap(process: psutil.Process) -> None:
    """Takes the exit status of an adopted process that has ended, so that no zombie stays."""
    with suppress(psutil.NoSuchProcess, psutil.TimeoutExpired):
        if process.status() == psutil.STATUS_ZOMBIE:
            process.wait(timeout=0)
