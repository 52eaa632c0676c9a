"""What tenants use, by the hour: counted here, written to the registry every few seconds and once more at the end."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from adapters.errors import RegistryError
from adapters.registry.records import UsageRow
from router.tenants.limiter import Need
from router.threads import Threads

_log = logging.getLogger("patchbay.router")
FLUSH_S = 2.0
# While the registry is away rows are kept, by hour, tenant, route and model: their number does not grow with requests.
_MOST_ROWS = 100_000


class Usage:
    """Counts on one event loop. `write`: adds rows to what is there, all or nothing; blocks; raises RegistryError."""

    def __init__(self, write: Callable[[Sequence[UsageRow]], None], utc_now: Callable[[], datetime]) -> None:
        self._write = write
        self._utc_now = utc_now
        self._threads = Threads("usage", 1)
        self._rows: dict[tuple[datetime, str, str, str], UsageRow] = {}
        self._writing: asyncio.Task[None] | None = None

    def add(self, tenant: str, route: str, model: str, used: Need, cost: float, *, failed: bool) -> None:
        """Counts a call that has ended."""
        hour = self._utc_now().replace(minute=0, second=0, microsecond=0)
        key = hour, tenant, route, model
        if key not in self._rows and len(self._rows) >= _MOST_ROWS:
            _log.error("usage of %s is lost: the registry has been away for too long", tenant)
            return
        row = self._rows.get(key) or UsageRow(hour, tenant, route, model)
        self._rows[key] = replace(
            row,
            requests=row.requests + 1,
            failed=row.failed + failed,
            prompt_tokens=row.prompt_tokens + used.prompt,
            answer_tokens=row.answer_tokens + used.answer,
            cost=row.cost + cost,
        )

    async def run(self) -> None:
        """Writes every few seconds, until cancelled."""
        while True:
            await asyncio.sleep(FLUSH_S)
            await self.flush()

    async def flush(self) -> None:
        """Writes what there is; what cannot be written is kept."""
        if self._writing is None or self._writing.done():
            rows, self._rows = self._rows, {}
            if not rows:
                return
            self._writing = asyncio.get_running_loop().create_task(self._put(rows))
        # Once begun it goes on to its end, or nobody would know whether it is written.
        await asyncio.shield(self._writing)

    async def close(self) -> None:
        """Writes all that there is."""
        if self._writing is not None:
            await self._writing
        await self.flush()

    async def _put(self, rows: dict[tuple[datetime, str, str, str], UsageRow]) -> None:
        try:
            await self._threads.run(self._write, list(rows.values()))
        except RegistryError as error:
            _log.warning("usage is kept for now: %s", error)
            self._merge(rows)

    def _merge(self, rows: dict[tuple[datetime, str, str, str], UsageRow]) -> None:
        for key, row in rows.items():
            newer = self._rows.get(key)
            self._rows[key] = row if newer is None else _sum(row, newer)


def _sum(one: UsageRow, other: UsageRow) -> UsageRow:
    return replace(
        one,
        requests=one.requests + other.requests,
        failed=one.failed + other.failed,
        prompt_tokens=one.prompt_tokens + other.prompt_tokens,
        answer_tokens=one.answer_tokens + other.answer_tokens,
        cost=one.cost + other.cost,
    )
