"""Usage of tenants by the hour: counted here, and written to the registry every few seconds and once more at the
end."""

import asyncio
import itertools
import logging
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Protocol
from uuid import uuid4

import msgspec

from patchbay.core.errors import ArtifactError, RegistryError
from patchbay.core.money import PARTS
from patchbay.core.thread_pools import Threads
from patchbay.registry.records import UsageBatch, UsageRow
from patchbay.router.tenants.limiter import Need

_log = logging.getLogger("patchbay.router")
FLUSH_S = 2.0
# Once a minute, since routers beside this one may end and leave usage, too.
_TURNS_A_LOOK = 30
# Rows that are kept while the registry is away. There is one by hour, tenant, route and model, so their number does not
# grow with the requests.
_MOST_ROWS = 100_000


class UsageSink(Protocol):
    """Stores usage. Each call blocks."""

    def add(self, batch: UsageBatch) -> bool:
        """Adds a batch, unless it was added before. Raises RegistryError, also where it is unknown whether it was
        added."""

    def keep(self, batch: UsageBatch) -> Path:
        """Leaves a batch to the next router, in the file that is returned. Raises ArtifactError."""

    def take_in(self) -> int:
        """Adds batches that other routers have left, and counts them. Raises RegistryError."""


class _Sum(msgspec.Struct, eq=False, kw_only=True):
    """Sum of the calls of one row. `cost`: in trillionths."""

    requests: int = 0
    failed: int = 0
    prompt_tokens: int = 0
    answer_tokens: int = 0
    cost: int = 0


class TenantUsage:
    """Counts usage on one event loop.

    A batch that cannot be written is tried again as the same batch, so that it counts once even where the answer to a
    write was lost; at the end it is left to the next router. `flush_s`: seconds between writes.
    """

    def __init__(self, book: UsageSink, utc_now: Callable[[], datetime], flush_s: float = FLUSH_S) -> None:
        self._flush_s = flush_s
        self._book = book
        self._utc_now = utc_now
        self._threads = Threads("usage", 1)
        # A thread of its own: the first may wait for a registry that never answers.
        self._spooling = Threads("usage spool", 1)
        self._sums: dict[tuple[datetime, str, str, str], _Sum] = {}
        # In trillionths: the rests of costs that were written in whole billionths.
        self._rests: dict[tuple[str, str, str], int] = {}
        self._source, self._number = uuid4().hex, 0
        self._batch: UsageBatch | None = None
        self._writing: asyncio.Task[None] | None = None

    def add(self, tenant: str, route: str, model: str, used: Need, cost: int, *, failed: bool) -> None:
        """Counts a call that has ended.

        `used`: its tokens; `cost`: in trillionths; `failed`: whether it failed.
        """
        hour = self._utc_now().replace(minute=0, second=0, microsecond=0)
        key = hour, tenant, route, model
        row = self._sums.get(key)
        if row is None:
            if len(self._sums) >= _MOST_ROWS:
                _log.error("usage of %s is lost: the registry has been away for too long", tenant)
                return
            row = self._sums[key] = _Sum()
        row.requests += 1
        row.failed += failed
        row.prompt_tokens += used.prompt
        row.answer_tokens += used.answer
        row.cost += cost

    async def run(self) -> None:
        """Writes every few seconds, and takes in batches that other routers have left, at once and every minute, until
        cancelled."""
        all_in = False
        for turn in itertools.count():
            if turn % _TURNS_A_LOOK == 0 or not all_in:
                all_in = await self._take_in()
            await asyncio.sleep(self._flush_s)
            await self.flush()

    async def flush(self) -> None:
        """Writes all counts; those that cannot be written are kept."""
        if self._writing is None or self._writing.done():
            if self._next() is None:
                return
            self._writing = asyncio.get_running_loop().create_task(self._put())
        # Once begun it goes on to its end: after a cancellation nobody would know whether it was written.
        await asyncio.shield(self._writing)

    async def close(self, within_s: float = 5.0) -> None:
        """Writes all counts, or leaves them to the next router where that takes longer than `within_s` seconds."""
        try:
            async with asyncio.timeout(within_s):
                if self._writing is not None:
                    await asyncio.shield(self._writing)
                await self.flush()
        except TimeoutError:
            _log.warning("the registry needed more than %.1f s to store the usage", within_s)
        while (batch := self._next()) is not None:
            await self._leave(batch)
            self._batch = None
        self._threads.close()
        self._spooling.close()

    def _next(self) -> UsageBatch | None:
        """Returns the batch to write: the one that could not be written, or a new one, None where there is nothing."""
        if self._batch is None and self._sums:
            self._number += 1
            rows = tuple(self._row(key, summed) for key, summed in self._sums.items())
            self._batch = UsageBatch(self._source, self._number, rows)
            self._sums = {}
        return self._batch

    def _row(self, key: tuple[datetime, str, str, str], summed: _Sum) -> UsageRow:
        """Makes the row of what was `summed`. Less than a billionth of its cost goes into the next row of the same
        tenant, route and model."""
        hour, tenant, route, model = key
        billionths, rest = divmod(summed.cost + self._rests.pop((tenant, route, model), 0), PARTS)
        if rest:
            self._rests[tenant, route, model] = rest
        return UsageRow(
            hour=hour,
            tenant=tenant,
            route=route,
            model=model,
            requests=summed.requests,
            failed=summed.failed,
            prompt_tokens=summed.prompt_tokens,
            answer_tokens=summed.answer_tokens,
            billionths=billionths,
        )

    async def _put(self) -> None:
        while (batch := self._next()) is not None:
            try:
                await self._threads.run(self._book.add, batch)
            except RegistryError as error:
                _log.warning("usage is not written yet; it is kept in memory and tried again: %s", error)
                return
            self._batch = None

    async def _leave(self, batch: UsageBatch) -> None:
        asked = sum(row.requests for row in batch.rows)
        try:
            path = await self._spooling.run(self._book.keep, batch)
        except ArtifactError as error:
            _log.error("the usage of %d requests is lost: the registry did not store it, and %s", asked, error)
        else:
            _log.warning(
                "the registry did not store the usage of %d requests: the next router here counts it, from %s",
                asked,
                path,
            )

    async def _take_in(self) -> bool:
        try:
            await self._threads.run(self._book.take_in)
        except RegistryError as error:
            _log.warning("usage that other routers have left is not counted yet: %s", error)
            return False
        return True
