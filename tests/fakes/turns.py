"""The turns of the event loops that tests run: how much CPU time of its thread each took, and what took it.

CPU time, so that what else the machine does counts for nothing. All that runs on the loop counts, the collector's
pauses too, but for what is put into `apart`: a test's own preparations, and the making of a router, before it listens.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

LIMIT_S = 0.1
# Below this nobody asks which callback it was.
_WORTH_TELLING_S = 0.02


@dataclass
class _Apart(threading.local):
    """Seconds of this thread's CPU time in this turn that do not count."""

    seconds: float = 0.0


@dataclass
class Turns:
    """What was seen. `longest_s`: the longest turn; `what`: the callbacks that took most of it, with their seconds."""

    longest_s: float = 0.0
    what: list[tuple[float, str]] = field(default_factory=list)

    def note(self, seconds: float, what: list[tuple[float, str]]) -> None:
        """Takes a turn."""
        if seconds > self.longest_s:
            self.longest_s, self.what = seconds, sorted(what, reverse=True)[:5]

    def __str__(self) -> str:
        told = "; ".join(f"{1000 * seconds:.0f} ms {name}" for seconds, name in self.what)
        return f"one turn of the event loop took {1000 * self.longest_s:.0f} ms of CPU: {told}"


_apart = _Apart()


@contextmanager
def apart() -> Iterator[None]:
    """What runs in the block, without awaiting anything, does not count: no router would do that on its loop."""
    began = time.thread_time()
    try:
        yield
    finally:
        _apart.seconds += time.thread_time() - began


@contextmanager
def watched_turns(turns: Turns) -> Iterator[None]:
    """Notes the turns of every asyncio loop in this process, whichever thread runs it, while the block lasts."""
    once: Callable[[Any], None] = asyncio.BaseEventLoop._run_once  # type: ignore[attr-defined]  # noqa: SLF001
    call: Callable[[asyncio.Handle], None] = asyncio.Handle._run  # noqa: SLF001
    callbacks = threading.local()

    def run_once(loop: Any) -> None:
        callbacks.took = took = []
        _apart.seconds = 0.0
        began = time.thread_time()
        try:
            once(loop)
        finally:
            turns.note(time.thread_time() - began - _apart.seconds, took)

    def run(handle: asyncio.Handle) -> None:
        before = _apart.seconds
        began = time.thread_time()
        try:
            call(handle)
        finally:
            took = time.thread_time() - began - (_apart.seconds - before)
            if took > _WORTH_TELLING_S:
                getattr(callbacks, "took", []).append((took, _name_of(handle)))

    asyncio.BaseEventLoop._run_once = run_once  # type: ignore[attr-defined]  # noqa: SLF001
    asyncio.Handle._run = run  # type: ignore[method-assign]  # noqa: SLF001
    try:
        yield
    finally:
        asyncio.BaseEventLoop._run_once = once  # type: ignore[attr-defined]  # noqa: SLF001
        asyncio.Handle._run = call  # type: ignore[method-assign]  # noqa: SLF001


@pytest.fixture(autouse=True)
def quick_turns() -> Iterator[Turns]:
    """Fails a test in which one turn of an event loop took over 100 ms of CPU.

    Not counted is what runs before or after the test itself: fixtures of a module or a session that import and compile,
    and in the test what is in `apart`. The engine that stands for a replica runs on the same loop, and counts.
    """
    turns = Turns()
    with watched_turns(turns):
        yield turns
    if turns.longest_s > LIMIT_S:
        pytest.fail(str(turns))


def _name_of(handle: asyncio.Handle) -> str:
    """A task's coroutine, or a callback's name."""
    callback: Any = handle._callback  # type: ignore[attr-defined]  # noqa: SLF001
    owner = getattr(callback, "__self__", None)
    if isinstance(owner, asyncio.Task):
        return str(getattr(owner.get_coro(), "__qualname__", owner.get_name()))
    return str(getattr(callback, "__qualname__", repr(callback)))
