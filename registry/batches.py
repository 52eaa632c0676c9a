"""The numbering of usage batches, by which the registry takes each batch once, however often it is sent.

A source numbers its batches from 1 on. A write whose answer is lost may have been done, so it is sent again under the
same number, and the registry stores that number in the transaction that takes the batch. A source's last number is
forgotten once nothing of the source can come any more: a batch that lay in a spool for longer than `COUNTED_FOR` is not
taken (`is_too_old`).
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, delete, insert, select, update

from patchbay.registry.schema import batches

# A machine may be off for so long, and its usage still counts. A longer time costs space: each start of a router adds a
# row.
COUNTED_FOR: Final = timedelta(days=90)
# A margin, since hours are rounded down and by a router's clock, but the times of rows are by the registry's.
CLOCKS_DIFFER_BY: Final = timedelta(days=2)


class TooOld(ValueError):
    """A batch is so old that the registry may have forgotten whether it was taken."""


def is_new(connection: Connection, source: str, number: int, at: datetime) -> bool:
    """Says whether the batch `number` of `source` was not taken yet, and marks it as taken in this transaction.

    A source sends its batches in order. With each new source, old sources are forgotten of which nothing can come any
    more. `at`: now, by the registry's clock.
    """
    last_number = connection.execute(select(batches.c.number).where(batches.c.source == source)).scalar_one_or_none()
    if last_number is None:
        connection.execute(delete(batches).where(batches.c.at < forgotten_before(at)))
        connection.execute(insert(batches).values(source=source, number=number, at=at))
        return True
    if number <= last_number:
        return False
    connection.execute(update(batches).where(batches.c.source == source).values(number=number, at=at))
    return True


def forgotten_before(now: datetime) -> datetime:
    """Returns the time before which sources were last heard of that are forgotten. Pure."""
    return now - COUNTED_FOR - CLOCKS_DIFFER_BY


def is_too_old(hours: Iterable[datetime], now: datetime) -> bool:
    """Says whether a batch with rows of these `hours` may have been taken, and its source forgotten since. Pure.

    The newest hour is before the batch was made, and that is before it was taken.
    """
    return max(hours, default=now) < now - COUNTED_FOR
