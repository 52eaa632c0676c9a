"""The turns of the event loops that tests run: how much CPU time of its thread each took, and what took it.

CPU time, so that what else the machine does counts for nothing; the collector's pauses count. Not counted is what runs
before a router is up (it imports and compiles, and nobody waits for it yet), what a test puts into `offload`, and the
collector's pause for a router that has ended, which goes with its process elsewhere.
"""

import asyncio
import gc
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from patchbay.core.garbage_collection import settle

LIMIT_S = 0.1
# Below this nobody asks which callback it was.
_WORTH_TELLING_S = 0.02
_PROTOCOLS = ("anyio.", "aiohttp.")
# Objects that a router leaves in cycles when it ends are more than ten thousand; requests leave next to none.
_ENDED_ROUTER = 2000
# aiohttp is what fake replicas are made of.
_TESTS = ("/tests/", "/anyio/", "/httpx/", "/openai/", "/aiohttp/")


@dataclass
class Turns:
    """What was seen. `own`: whether what the tests' own tasks do counts, too; `longest_s`: the longest turn; `what`:
    the callbacks that took most of it, with their seconds; `starting`: routers that are not up yet."""

    own: bool = True
    longest_s: float = 0.0
    what: list[tuple[float, str]] = field(default_factory=list)
    starting: int = 0

    def note(self, seconds: float, what: list[tuple[float, str]]) -> None:
        """Takes a turn."""
        if seconds > self.longest_s and not self.starting:
            self.longest_s, self.what = seconds, sorted(what, reverse=True)[:5]

    def __str__(self) -> str:
        told = "; ".join(f"{1000 * seconds:.0f} ms {name}" for seconds, name in self.what)
        return f"one turn of the event loop took {1000 * self.longest_s:.0f} ms of CPU: {told}"


class _Thread(threading.local):
    """Seconds of this thread's CPU time in this turn that do not count, the long callbacks in it, and when the
    collector began."""

    def __init__(self) -> None:
        self.apart_s = 0.0
        self.collecting_s = 0.0
        self.took: list[tuple[float, str]] = []


_thread = _Thread()
_watching: list[Turns] = []


@contextmanager
def offload() -> Iterator[None]:
    """What runs in the block, without awaiting anything, does not count: no router would do that on its loop."""
    began = time.thread_time()
    try:
        yield
    finally:
        _thread.apart_s += time.thread_time() - began


@contextmanager
def starting() -> Iterator[None]:
    """No turn counts that ends in the block: a router starts."""
    watching = list(_watching)
    for turns in watching:
        turns.starting += 1
    try:
        yield
    finally:
        for turns in watching:
            turns.starting -= 1


def _collecting(phase: str, info: dict[str, Any]) -> None:
    """Told by the collector of each of its pauses."""
    if phase == "start":
        _thread.collecting_s = time.thread_time()
    elif info["collected"] >= _ENDED_ROUTER:
        _thread.apart_s += time.thread_time() - _thread.collecting_s


@contextmanager
def watched_turns(turns: Turns) -> Iterator[None]:
    """Notes the turns of every asyncio loop in this process, whichever thread runs it, while the block lasts."""
    once: Callable[[Any], None] = asyncio.BaseEventLoop._run_once  # type: ignore[attr-defined]  # noqa: SLF001
    call: Callable[[asyncio.Handle], None] = asyncio.Handle._run  # noqa: SLF001

    def run_once(loop: Any) -> None:
        _thread.apart_s, _thread.took = 0.0, []
        began = time.thread_time()
        try:
            once(loop)
        finally:
            turns.note(time.thread_time() - began - _thread.apart_s, _thread.took)

    def run(handle: asyncio.Handle) -> None:
        name, own = _owner_of(handle)
        before, began = _thread.apart_s, time.thread_time()
        try:
            call(handle)
        finally:
            took = time.thread_time() - began
            if own and not turns.own:
                _thread.apart_s = before + took
            elif took - (_thread.apart_s - before) > _WORTH_TELLING_S:
                _thread.took.append((took, name))

    asyncio.BaseEventLoop._run_once = run_once  # type: ignore[attr-defined]  # noqa: SLF001
    asyncio.Handle._run = run  # type: ignore[method-assign, assignment]  # noqa: SLF001
    _watching.append(turns)
    gc.callbacks.append(_collecting)
    try:
        yield
    finally:
        gc.callbacks.remove(_collecting)
        _watching.remove(turns)
        asyncio.BaseEventLoop._run_once = once  # type: ignore[attr-defined]  # noqa: SLF001
        asyncio.Handle._run = call  # type: ignore[method-assign, assignment]  # noqa: SLF001


def _owner_of(handle: asyncio.Handle) -> tuple[str, bool]:
    """What a handle runs, and whether that is a test's own task: its client, or the test itself."""
    callback: Any = handle._callback  # type: ignore[attr-defined]  # noqa: SLF001
    task = getattr(callback, "__self__", None)
    if not isinstance(task, asyncio.Task):
        return str(getattr(callback, "__qualname__", repr(callback))), _is_a_tests_connection(task)
    coroutine: Any = task.get_coro()
    file = getattr(getattr(coroutine, "cr_code", None), "co_filename", "")
    return str(getattr(coroutine, "__qualname__", "?")), any(place in file for place in _TESTS)


def _is_a_tests_connection(transport: Any) -> bool:
    """Whether this is a connection of a test's client, or a fake replica's end of one: routers have protocols of their
    own."""
    if not isinstance(transport, asyncio.Transport):
        return False
    return type(transport.get_protocol()).__module__.startswith(_PROTOCOLS)


@pytest.fixture(scope="module", autouse=True)
def frozen_heap() -> None:
    """Has the collector leave alone what tests have imported and left behind, as it does in a router that has started:
    a worker that has run a thousand tests has a heap that no router has."""
    gc.unfreeze()
    settle()


@pytest.fixture(autouse=True)
def quick_turns(frozen_heap: None) -> Iterator[Turns]:
    """Fails a test in which one turn of an event loop took over 100 ms of CPU, the test's own work on it included."""
    yield from _quick(Turns())


@pytest.fixture(autouse=True)
def quick_router(frozen_heap: None) -> Iterator[Turns]:
    """Fails a test in which one turn of an event loop took over 100 ms of CPU in a router, or in what stands for its
    replicas. The test's own tasks, and so its clients, do not count: each makes a TLS context, which takes 50 ms."""
    yield from _quick(Turns(own=False))


def _quick(turns: Turns) -> Iterator[Turns]:
    gc.freeze()
    with watched_turns(turns):
        yield turns
    if turns.longest_s > LIMIT_S:
        pytest.fail(str(turns))
