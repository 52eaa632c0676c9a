"""Batches of what a process counted: numbered by their source from 1 on, and taken once, however often they come.

A write whose answer is lost may have been done, so it is sent again under the same number: the number is kept in the
transaction that takes the batch.
"""

from datetime import datetime

from sqlalchemy import Connection, insert, select, update

from adapters.registry.schema import batches


def is_new(connection: Connection, source: str, number: int, at: datetime) -> bool:
    """Whether the batch `number` of `source` was not taken yet; it is from now on, if the transaction ends well. A
    source sends its batches in order."""
    taken = connection.execute(select(batches.c.number).where(batches.c.source == source)).scalar_one_or_none()
    if taken is None:
        connection.execute(insert(batches).values(source=source, number=number, at=at))
        return True
    if number <= taken:
        return False
    connection.execute(update(batches).where(batches.c.source == source).values(number=number, at=at))
    return True
