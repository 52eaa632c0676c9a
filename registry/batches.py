"""Batches of what a process counted: numbered by their source from 1 on, and taken once, however often they come.

A write whose answer is lost may have been done, so it is sent again under the same number: the number is kept in the
transaction that takes the batch. How far a source has come is forgotten once nothing of it can come any more: what lay
in a spool for longer than `COUNTED_FOR` is not taken (`is_too_old`).
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, delete, insert, select, update

from patchbay.registry.schema import batches

# A machine may be off for as long, and its usage is counted still. Every start of a router is one row more.
COUNTED_FOR: Final = timedelta(days=90)
# Hours are a router's own, and rounded down; the times of rows are the registry's.
CLOCKS_DIFFER_BY: Final = timedelta(days=2)


class TooOld(ValueError):
    """A batch of which nobody knows any more whether it was taken."""


def is_new(connection: Connection, source: str, number: int, at: datetime) -> bool:
    """Whether the batch `number` of `source` was not taken yet; it is from now on, if the transaction ends well. A
    source sends its batches in order. With a new source, those are forgotten of which nothing can come any more."""
    taken = connection.execute(select(batches.c.number).where(batches.c.source == source)).scalar_one_or_none()
    if taken is None:
        connection.execute(delete(batches).where(batches.c.at < forgotten_before(at)))
        connection.execute(insert(batches).values(source=source, number=number, at=at))
        return True
    if number <= taken:
        return False
    connection.execute(update(batches).where(batches.c.source == source).values(number=number, at=at))
    return True


def forgotten_before(now: datetime) -> datetime:
    """Sources that were last heard of before this are forgotten. Pure."""
    return now - COUNTED_FOR - CLOCKS_DIFFER_BY


def is_too_old(hours: Iterable[datetime], now: datetime) -> bool:
    """Whether a batch with rows of these `hours` may have been taken, and its source been forgotten since. Pure.

    The newest hour is before the batch was made, and that before it was taken.
    """
    return max(hours, default=now) < now - COUNTED_FOR
