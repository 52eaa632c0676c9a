"""The watch over an attack, beside the answers.

It sees processes that ended, turns of the router's event loop over 100 ms, and requests that are left running in the
end.
"""

import asyncio
import json
import re
import time
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import aiohttp
import psutil

from loadtests.attack.sending import Addresses
from patchbay.core.errors import PatchbayError

# Requests of clients that have gone are ended at once; long ones that are legal have ended by then.
_SETTLE_S, _LOOK_S, _QUIET_LOOKS = 60.0, 1.0, 3
_HELD = re.compile(r"^patchbay_router_event_loop_held_total (\S+)$", re.MULTILINE)


class Watched(Protocol):
    """The processes that must not end."""

    def learn(self) -> None:
        """Takes those that run now as those that are to go on running."""

    def ended(self) -> int:
        """Counts those that have ended."""


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
        """Counts those that have ended."""
        return sum(not _runs(process) for process in self._known.values())


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def turns_held(session: aiohttp.ClientSession, addresses: Addresses) -> int:
    """Counts the turns of the router's event loop that took over 100 ms of work since it started.

    Raises PatchbayError where the admin port does not tell.
    """
    return held_in(await _admin_text(session, addresses, "/metrics"))


def held_in(metrics: str) -> int:
    """Returns that count from the text of the router's metrics. Raises PatchbayError where it has none."""
    found = _HELD.search(metrics)
    if found is None:
        raise PatchbayError("The router's metrics do not say how often its event loop was held.")
    return int(float(found[1]))


async def left_running(
    session: aiohttp.ClientSession, addresses: Addresses, *, within_s: float = _SETTLE_S, look_s: float = _LOOK_S
) -> Mapping[str, int]:
    """Counts the requests that replicas still work on, by name, when nobody has asked anything for up to `within_s`
    seconds.

    There are none once there were none at several looks in a row, since replicas report their state only now and then.
    `look_s`: seconds between looks. Raises PatchbayError where the admin port does not tell.
    """
    quiet, end_s = 0, time.monotonic() + within_s
    while True:
        busy = _busy(json.loads(await _admin_text(session, addresses, "/admin/v1/replicas")))
        quiet = 0 if busy else quiet + 1
        if quiet >= _QUIET_LOOKS or time.monotonic() > end_s:
            return busy
        await asyncio.sleep(look_s)


def _busy(document: Mapping[str, Any]) -> Mapping[str, int]:
    """By the router's own count, or by the replica's, which may work on what no router knows any more."""
    counts = {replica["name"]: max(replica["in_flight"], replica["load"]) for replica in document["replicas"]}
    return {name: count for name, count in counts.items() if count}


async def _admin_text(session: aiohttp.ClientSession, addresses: Addresses, path: str) -> str:
    async with session.get(addresses.operators + path, headers=addresses.shown) as response:
        text = await response.text()
        if response.status != 200:
            raise PatchbayError(f"The admin port answers {response.status} to {path}: {text[:200]}")
        return text
