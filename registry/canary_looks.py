"""The stored looks at canaries, the tallies that they used, and checkpoints, within a transaction of the caller's.

What a look has taken is folded into as few rows as say the same, and what all looks came to is kept in one checkpoint:
so whoever asks how a canary stands, or goes on with it, reads two rows, however long it has lasted.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, delete, func, insert, select, update

from patchbay.registry.canary_records import CanaryTally, Checkpoint, Look, LookDraft
from patchbay.registry.schema import canaries, checkpoints, looks, tallies

_FOLDED = "routers"


def keep(connection: Connection, source: str, counts: Mapping[int, Iterable[Mapping[str, Any]]], now: datetime) -> None:
    """Keeps what `source` counted, by canary, for the next look."""
    rows = [
        {"canary": canary, "source": source, "counts": dict(one), "at": now}
        for canary, told in counts.items()
        for one in told
    ]
    if rows:
        connection.execute(insert(tallies), rows)


def pending(connection: Connection, canary: int) -> tuple[CanaryTally, ...]:
    """What no look has taken, in order."""
    query = select(tallies).where(tallies.c.canary == canary, tallies.c.look.is_(None)).order_by(tallies.c.id)
    return tuple(_tally_of(row) for row in connection.execute(query))


def put(
    connection: Connection, canary: int, number: int, said: LookDraft, taken: Sequence[CanaryTally], now: datetime
) -> None:
    """Stores a look, and what it was taken by."""
    connection.execute(insert(looks).values(canary=canary, number=number, verdict=dict(said.verdict), at=now))
    ids = [one.id for one in taken]
    if said.folded is None:
        connection.execute(update(tallies).where(tallies.c.id.in_(ids)).values(look=number))
    elif taken:
        sources = {one.source for one in taken}
        source = sources.pop() if len(sources) == 1 else _FOLDED
        connection.execute(delete(tallies).where(tallies.c.id.in_(ids)))
        rows = [
            {"canary": canary, "source": source, "counts": dict(one), "at": now, "look": number} for one in said.folded
        ]
        connection.execute(insert(tallies), rows)
    if said.checkpoint is not None:
        connection.execute(delete(checkpoints).where(checkpoints.c.canary == canary))
        connection.execute(insert(checkpoints).values(canary=canary, look=number, ledger=dict(said.checkpoint)))


def checkpoint(connection: Connection, canary: int) -> Checkpoint | None:
    """What all looks came to, None where that was not kept yet."""
    row = connection.execute(select(checkpoints).where(checkpoints.c.canary == canary)).one_or_none()
    return Checkpoint(canary=row.canary, look=row.look, ledger=row.ledger) if row is not None else None


def read(connection: Connection, canary: int, after: int, limit: int | None) -> tuple[Look, ...]:
    """The looks at a canary after that number, the first one first, with all that they were taken by."""
    query = select(looks).where(looks.c.canary == canary, looks.c.number > after).order_by(looks.c.number).limit(limit)
    found = connection.execute(query).all()
    if not found:
        return ()
    by_look: dict[int, list[CanaryTally]] = {}
    taken = select(tallies).where(
        tallies.c.canary == canary, tallies.c.look >= found[0].number, tallies.c.look <= found[-1].number
    )
    for row in connection.execute(taken.order_by(tallies.c.id)):
        by_look.setdefault(row.look, []).append(_tally_of(row))
    return tuple(_look_of(row, by_look.get(row.number, ())) for row in found)


def thinned(connection: Connection, canary: int, most: int) -> tuple[Look, ...]:
    """At most about so many of the looks at a canary, evenly, the first one first, and the last that judged it; without
    what they were taken by."""
    query = select(func.max(looks.c.number)).where(looks.c.canary == canary)
    last = connection.execute(query).scalar_one() or 0
    every = max(1, -(-last // most))
    judged = select(canaries.c.judged).where(canaries.c.id == canary).scalar_subquery()
    kept = (looks.c.number % every == 0) | (looks.c.number == judged) | (looks.c.number == last)
    return _bare(connection, select(looks).where(looks.c.canary == canary, kept).order_by(looks.c.number))


def judged(connection: Connection, ids: Sequence[int]) -> dict[int, Look]:
    """The last look at each of these canaries that judged its evidence, without what it was taken by."""
    same = (canaries.c.id == looks.c.canary) & (canaries.c.judged == looks.c.number)
    found = _bare(connection, select(looks).join(canaries, same).where(canaries.c.id.in_(ids)))
    return {one.canary: one for one in found}


def forget_before(connection: Connection, moment: datetime) -> None:
    """Drops what canaries were judged by that ended before `moment`. Their records stay."""
    old = select(canaries.c.id).where(canaries.c.ended_at < moment)
    for table in (tallies, looks, checkpoints):
        connection.execute(delete(table).where(table.c.canary.in_(old)))


def _bare(connection: Connection, query: Select[Any]) -> tuple[Look, ...]:
    return tuple(_look_of(row, ()) for row in connection.execute(query))


def _look_of(row: Row[Any], taken: Sequence[CanaryTally]) -> Look:
    return Look(canary=row.canary, number=row.number, verdict=row.verdict, tallies=tuple(taken), at=row.at)


def _tally_of(row: Row[Any]) -> CanaryTally:
    return CanaryTally(id=row.id, canary=row.canary, source=row.source, counts=row.counts, at=row.at, look=row.look)
