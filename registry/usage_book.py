"""The writer of usage: batches go to the registry, or to the spool beside it, and later from there to the registry."""

import logging
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from patchbay.core.money import BILLION
from patchbay.registry.accounts import Accounts
from patchbay.registry.records import UsageBatch, UsageRow
from patchbay.registry.spool import Spool, Spooled

_log = logging.getLogger("patchbay.registry")
_KIND = "usage"
_ROWS = TypeAdapter(tuple[UsageRow, ...])


class UsageBook:
    """The record of usage of one registry. Its methods block."""

    def __init__(self, accounts: Accounts, spool: Spool) -> None:
        self._accounts = accounts
        self._spool = spool

    def add(self, batch: UsageBatch) -> bool:
        """Adds a batch, unless it was added before. Returns whether it was new.

        Raises RegistryError, even where it is unknown whether the batch was added; the same batch may be given again.
        """
        return self._accounts.add_usage(batch)

    def keep(self, batch: UsageBatch) -> Path:
        """Leaves a batch in the spool for the next router, and returns its file. Raises ArtifactError."""
        content = _ROWS.dump_python(batch.rows, mode="json")
        return self._spool.keep(Spooled(kind=_KIND, source=batch.source, number=batch.number, content=content))

    def take_in(self) -> int:
        """Adds the batches that earlier routers left in the spool. Returns their number. Raises RegistryError."""
        return self._spool.take_in(_KIND, self._take)

    def waiting(self) -> int:
        """Counts the batches in the spool."""
        return self._spool.waiting(_KIND)

    def _take(self, spooled: Spooled) -> None:
        # pydantic's error is a ValueError, as the spool wants it.
        rows = _ROWS.validate_python([_in_billionths(row) for row in spooled.content])
        if self._accounts.add_left_usage(UsageBatch(spooled.source, spooled.number, rows)):
            _log.info("usage that %s could not write is counted now: %d rows", spooled.source, len(rows))


def _in_billionths(row: Any) -> Any:
    """Converts a row of an older router, which left the cost as a float, to the present form."""
    if not isinstance(row, dict) or not isinstance(row.get("cost"), int | float):
        return row
    return {**row, "billionths": round(row["cost"] * BILLION)}
