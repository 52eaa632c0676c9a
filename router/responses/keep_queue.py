"""Queue of responses that are to be kept: written to the registry off the event loop, many in one transaction.

Whoever gives one waits for it, so that its client can read it back, from any router, as soon as it has the end of its
answer. The wait is bounded, and so is the queue: where the registry is away, answers end without being kept.
"""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from patchbay.core.errors import RegistryError
from patchbay.core.thread_pools import Threads
from patchbay.registry.responses import KeepResult, KeepTerms, ResponseDraft

_log = logging.getLogger("patchbay.router")
# Beside what the registry says, what became of a response: it failed; it did not answer in time; too many wait.
KeepOutcome = KeepResult | Literal["unavailable", "late", "busy"]
_MOST, _MOST_BYTES = 512, 64 * 1024 * 1024
_A_TIME, _BYTES_A_TIME = 64, 8 * 1024 * 1024


class ResponseSink(Protocol):
    """The store of responses. Each call blocks, and raises RegistryError."""

    def keep(self, drafts: Callable[[], Sequence[ResponseDraft]], terms: KeepTerms) -> tuple[KeepResult, ...]:
        """Keeps those that `drafts` returns when it is this write's turn, and returns what became of each."""

    def delete(self, tenant: str, name: str) -> bool:
        """Deletes one, and returns whether it was there."""


@dataclass(slots=True, eq=False)
class _Waiting:
    draft: ResponseDraft
    done: asyncio.Future[KeepOutcome] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    # Set by the event loop, and read by the thread that writes.
    given_up: bool = False


class KeepQueue:
    """Queue of responses that are to be kept. `sink`: the registry; `terms`: how long and how many responses are kept;
    `wait_s`: how long one waits; `clock`: seconds, monotonic."""

    def __init__(self, sink: ResponseSink, terms: KeepTerms, wait_s: float, clock: Callable[[], float]) -> None:
        self._sink = sink
        self._terms = terms
        self._wait_s = wait_s
        self._clock = clock
        self._threads = Threads("keeping responses", 1)
        self._queue: deque[_Waiting] = deque()
        self._queue_bytes = 0
        self._news = asyncio.Event()
        self._began_s: float | None = None
        self._fails = False

    @property
    def waiting(self) -> int:
        """The number of responses that wait to be written."""
        return len(self._queue)

    async def keep(self, draft: ResponseDraft) -> KeepOutcome:
        """Has a response written, and waits for that, within limits. What was not kept is not there later either."""
        if self._is_stuck:
            return "unavailable"
        if len(self._queue) >= _MOST or self._queue_bytes + draft.size > _MOST_BYTES:
            return "busy"
        waiting = _Waiting(draft)
        self._queue.append(waiting)
        self._queue_bytes += draft.size
        self._news.set()
        try:
            async with asyncio.timeout(self._wait_s):
                return await waiting.done
        except TimeoutError:
            return "late"
        finally:
            waiting.given_up = not waiting.done.done() or waiting.done.cancelled()

    async def run(self) -> None:
        """Writes what is given, until cancelled."""
        while True:
            await self._write_all()
            await self._news.wait()
            self._news.clear()

    async def close(self, within_s: float) -> None:
        """Writes what is waited for still, for so many seconds at most, and ends the thread. `run` has ended."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._write_all()
        self._threads.close()

    @property
    def _is_stuck(self) -> bool:
        """Whether a write has been under way for longer than anybody waits."""
        return self._began_s is not None and self._clock() - self._began_s > self._wait_s

    def _next(self) -> Sequence[_Waiting]:
        batch: list[_Waiting] = []
        size = 0
        while self._queue and len(batch) < _A_TIME and (not batch or size + self._queue[0].draft.size <= _BYTES_A_TIME):
            size += self._queue[0].draft.size
            batch.append(self._queue.popleft())
        self._queue_bytes -= size
        return batch

    async def _write_all(self) -> None:
        while self._queue:
            await self._write(self._next())

    async def _write(self, batch: Sequence[_Waiting]) -> None:
        self._began_s = self._clock()
        try:
            outcomes = await self._threads.run(self._put, batch)
        except RegistryError as error:
            outcomes = dict.fromkeys(batch, "unavailable")
            self._note(str(error))
        else:
            self._note(None)
        finally:
            self._began_s = None
        for waiting, outcome in outcomes.items():
            if not waiting.done.done():
                waiting.done.set_result(outcome)
            elif outcome == "kept":
                await self._take_back(waiting.draft)

    def _note(self, fault: str | None) -> None:
        """Says in the log when responses begin not to be kept, and when they are again."""
        if fault is not None and not self._fails:
            _log.warning("responses are not kept: %s", fault)
        elif fault is None and self._fails:
            _log.warning("responses are kept again")
        self._fails = fault is not None

    async def _take_back(self, draft: ResponseDraft) -> None:
        """Deletes what was written, though its client had been told meanwhile that it is not kept."""
        with contextlib.suppress(RegistryError):
            await self._threads.run(self._sink.delete, draft.tenant, draft.id)

    def _put(self, batch: Sequence[_Waiting]) -> dict[_Waiting, KeepOutcome]:
        """Writes those of a batch that are still waited for, in a thread. Raises RegistryError."""
        wanted: list[_Waiting] = []

        def drafts() -> Sequence[ResponseDraft]:
            wanted.extend(waiting for waiting in batch if not waiting.given_up)
            return [waiting.draft for waiting in wanted]

        results = self._sink.keep(drafts, self._terms)
        return dict(zip(wanted, results, strict=True))
