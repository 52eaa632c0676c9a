"""Knows every process below this one, so that none outlives the child that it came from.

An engine runs in processes of its own, below a replica's. When the replica is killed they go on, hold its memory and
its port, and may have left its process group. So the tree is looked at now and then and remembered, and where the
system lets us (Linux) we adopt what is orphaned: then nothing can get away unseen.
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

_LOOK_EVERY_S: Final = 2.0
_DEATH_TAKES_AT_MOST_S: Final = 3.0
_CLEANING_TAKES_AT_MOST_S: Final = 10.0
_ROUNDS: Final = 5
_CLEANER: Final = "multiprocessing.resource_tracker"


class Descendants:
    """The processes below this one, by the child (its process id) that they came from."""

    def __init__(self) -> None:
        self._me = psutil.Process()
        self._not_ours = set(_children(self._me))
        self._below: dict[int, set[psutil.Process]] = {}
        self._adopts = adopt_orphans()
        self._tree = asyncio.Lock()

    async def start(self, start: Callable[[], Awaitable[Process]]) -> Process:
        """Starts a child, which leads a process group of its own, and from now on remembers what it starts."""
        async with self._tree:
            process = await start()
            self._below[process.pid] = set()
        return process

    async def keep_looking(self) -> None:
        """Looks at the tree every two seconds, until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            async with self._tree:
                await asyncio.to_thread(self._look)

    async def end_left_by(self, pid: int) -> int:
        """Kills what the dead child `pid` left behind, and returns how many processes that were."""
        async with self._tree:
            ended = await asyncio.to_thread(self._end_left_by, pid)
            self._below.pop(pid, None)
        return ended

    def kill_all(self) -> None:
        """Kills every child that is still known, with all that is below it, and waits for the end of the latter."""
        for pid in self._below:
            kill_group(pid)
        for pid in self._below:
            self._end_left_by(pid)

    def _look(self) -> None:
        """Remembers what there is below each child now, and lets adopted processes that have ended go."""
        for pid, known in self._below.items():
            with suppress(psutil.NoSuchProcess):
                known.update(_children(psutil.Process(pid), recursive=True))
            known.intersection_update([process for process in known if process.is_running()])
        for process in self._adopted():
            _reap(process)

    def _end_left_by(self, pid: int) -> int:
        """Kills in rounds, since what is killed may just have started something."""
        ended: set[psutil.Process] = set()
        for _ in range(_ROUNDS):
            left = self._left_by(pid)
            if not left:
                break
            ended |= left
            cleaners = {process for process in left if _cleans_up(process)}
            _kill(left - cleaners)
            _, stuck = psutil.wait_procs(cleaners, timeout=_CLEANING_TAKES_AT_MOST_S)
            _kill(stuck)
        kill_group(pid)
        return len(ended)

    def _left_by(self, pid: int) -> set[psutil.Process]:
        """What lives on of the dead child `pid`: what was seen below it, and orphans that no other child had."""
        seen = {process for process in self._below.get(pid, set()) if process.is_running()}
        others = {process for other, known in self._below.items() if other != pid for process in known}
        orphans = self._adopted() - others
        below = {child for process in seen | orphans for child in _children(process, recursive=True)}
        return seen | orphans | below

    def _adopted(self) -> set[psutil.Process]:
        """Orphans that are ours now."""
        if not self._adopts:
            return set()
        return {child for child in _children(self._me) if child.pid not in self._below} - self._not_ours


def _cleans_up(process: psutil.Process) -> bool:
    """Whether `process` is Python's own, which frees the shared memory of the dead and then ends by itself.

    Killed, it would leave hundreds of megabytes there with every engine that dies.
    Source: CPython, Lib/multiprocessing/resource_tracker.py.
    """
    try:
        return _CLEANER in " ".join(process.cmdline())
    except psutil.Error:
        return False


def _kill(processes: Collection[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(processes, timeout=_DEATH_TAKES_AT_MOST_S)


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
