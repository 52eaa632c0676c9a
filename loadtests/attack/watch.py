"""What an attack watches beside the answers: processes that ended, and turns of the router's event loop over 100 ms."""

import re
from collections.abc import Iterable
from typing import Protocol

import aiohttp
import psutil

_HELD = re.compile(r"^patchbay_router_event_loop_held_total (\S+)$", re.MULTILINE)


class Watched(Protocol):
    """What must not end."""

    def learn(self) -> None:
        """Takes those that run now as those that are to go on running."""

    def ended(self) -> int:
        """How many of them have ended."""


class Processes:
    """The processes of a running `patchbay up`, its replicas' engines among them."""

    def __init__(self, root: int) -> None:
        self._root = psutil.Process(root)
        self._known: dict[int, psutil.Process] = {}
        self.learn()

    def learn(self) -> None:
        """Takes those that run now as those that are to go on running."""
        found: Iterable[psutil.Process] = self._root.children(recursive=True)
        self._known = {process.pid: process for process in found}

    def ended(self) -> int:
        """How many of them have ended."""
        return sum(not _runs(process) for process in self._known.values())


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def turns_held(session: aiohttp.ClientSession, operators: str) -> int:
    """How many turns of the router's event loop took over 100 ms of work since it started."""
    async with session.get(f"{operators}/metrics") as response:
        return held_in(await response.text())


def held_in(metrics: str) -> int:
    """That count in the text of the router's metrics: 0 where it has none."""
    found = _HELD.search(metrics)
    return int(float(found[1])) if found else 0
