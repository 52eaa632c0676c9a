"""The stored looks at canaries, the tallies that they used, and checkpoints, within a transaction of the caller's.

The tallies of a look are folded into as few rows as have the same sum, and the sum of all looks is kept in one
checkpoint. So whoever shows a canary, or carries it on, reads two rows, however long it has lasted.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, delete, func, insert, select, update

from patchbay.registry.canary_records import CanaryTally, Checkpoint, Look, LookDraft
from patchbay.registry.schema import canaries, checkpoints, looks, tallies

_FOLDED = "routers"


def keep(connection: Connection, source: str, counts: Mapping[int, Iterable[Mapping[str, Any]]], now: datetime) -> None:
    """Stores counts of `source`, by canary, for the next look."""
    rows = [
        {"canary": canary, "source": source, "counts": dict(document), "at": now}
        for canary, documents in counts.items()
        for document in documents
    ]
    if rows:
        connection.execute(insert(tallies), rows)


def pending(connection: Connection, canary: int) -> tuple[CanaryTally, ...]:
    """Reads the tallies that no look has used yet, in order."""
    query = select(tallies).where(tallies.c.canary == canary, tallies.c.look.is_(None)).order_by(tallies.c.id)
    return tuple(_tally_of(row) for row in connection.execute(query))


def put(
    connection: Connection, canary: int, number: int, draft: LookDraft, taken: Sequence[CanaryTally], now: datetime
) -> None:
    """Stores a look, and the tallies that it used.

    `number`: the look's, from 1; `draft`: the look; `taken`: its tallies, which are folded where the draft has a sum of
    them.
    """
    connection.execute(insert(looks).values(canary=canary, number=number, verdict=dict(draft.verdict), at=now))
    ids = [tally.id for tally in taken]
    if draft.folded is None:
        connection.execute(update(tallies).where(tallies.c.id.in_(ids)).values(look=number))
    elif taken:
        sources = {tally.source for tally in taken}
        source = sources.pop() if len(sources) == 1 else _FOLDED
        connection.execute(delete(tallies).where(tallies.c.id.in_(ids)))
        rows = [
            {"canary": canary, "source": source, "counts": dict(document), "at": now, "look": number}
            for document in draft.folded
        ]
        connection.execute(insert(tallies), rows)
    if draft.checkpoint is not None:
        connection.execute(delete(checkpoints).where(checkpoints.c.canary == canary))
        connection.execute(insert(checkpoints).values(canary=canary, look=number, ledger=dict(draft.checkpoint)))


def checkpoint(connection: Connection, canary: int) -> Checkpoint | None:
    """Reads the sum of a canary's looks, None where none is stored yet."""
    row = connection.execute(select(checkpoints).where(checkpoints.c.canary == canary)).one_or_none()
    return Checkpoint(canary=row.canary, look=row.look, ledger=row.ledger) if row is not None else None


def read(connection: Connection, canary: int, after: int, limit: int | None) -> tuple[Look, ...]:
    """Reads the looks at a canary after the number `after`, in order, with the tallies that they used. `limit`: the
    most looks, None for all."""
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
    """Reads about `most` looks at a canary, evenly spread and in order, with the last one that judged it; without
    tallies."""
    query = select(func.max(looks.c.number)).where(looks.c.canary == canary)
    last = connection.execute(query).scalar_one() or 0
    every = max(1, -(-last // most))
    judged = select(canaries.c.judged).where(canaries.c.id == canary).scalar_subquery()
    kept = (looks.c.number % every == 0) | (looks.c.number == judged) | (looks.c.number == last)
    return _bare(connection, select(looks).where(looks.c.canary == canary, kept).order_by(looks.c.number))


def judged(connection: Connection, ids: Sequence[int]) -> dict[int, Look]:
    """Reads the last look at each of these canaries that judged its evidence, without its tallies."""
    same = (canaries.c.id == looks.c.canary) & (canaries.c.judged == looks.c.number)
    found = _bare(connection, select(looks).join(canaries, same).where(canaries.c.id.in_(ids)))
    return {look.canary: look for look in found}


def forget_before(connection: Connection, moment: datetime) -> None:
    """Deletes the looks at canaries that ended before `moment`. Their records stay."""
    old = select(canaries.c.id).where(canaries.c.ended_at < moment)
    for table in (tallies, looks, checkpoints):
        connection.execute(delete(table).where(table.c.canary.in_(old)))


def _bare(connection: Connection, query: Select[Any]) -> tuple[Look, ...]:
    return tuple(_look_of(row, ()) for row in connection.execute(query))


def _look_of(row: Row[Any], taken: Sequence[CanaryTally]) -> Look:
    return Look(canary=row.canary, number=row.number, verdict=row.verdict, tallies=tuple(taken), at=row.at)


def _tally_of(row: Row[Any]) -> CanaryTally:
    return CanaryTally(id=row.id, canary=row.canary, source=row.source, counts=row.counts, at=row.at, look=row.look)
