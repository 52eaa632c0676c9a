"""The reading of a snapshot of the registry, within a transaction that the caller has begun."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection, select

from patchbay.registry.accounts import read_access
from patchbay.registry.canaries import recent_canaries
from patchbay.registry.journal import generation, installation
from patchbay.registry.records import UNFINISHED, AdapterView, Channel, ChannelRecord, RevisionBrief, Snapshot
from patchbay.registry.rows import channel_of, move_of, rollout_of, settings_of
from patchbay.registry.schema import adapters, channels, moves, revisions, rollouts


def read_snapshot(connection: Connection, since: datetime, now: datetime) -> Snapshot:
    """Reads the registry at `now`, with the channel moves from `since` on. The revisions' files are not in it.

    Raises LookupError where rows are missing.
    """
    briefs = _briefs(connection)
    records = _channels(connection)
    views = {
        row.name: AdapterView(row.name, settings_of(row), records.get(row.name, {}), briefs.get(row.name, {}))
        for row in connection.execute(select(adapters).order_by(adapters.c.name))
    }
    _check_complete(records, briefs, views)
    unfinished = select(rollouts).where(rollouts.c.state.in_(UNFINISHED)).order_by(rollouts.c.id)
    recent = select(moves).where(moves.c.at >= since).order_by(moves.c.id)
    return Snapshot(
        generation=generation(connection),
        adapters=views,
        rollouts=tuple(rollout_of(row) for row in connection.execute(unfinished)),
        recent=tuple(move_of(row) for row in connection.execute(recent)),
        access=read_access(connection),
        canaries=recent_canaries(connection, now),
        installation=installation(connection),
    )


def _check_complete(
    records: Mapping[str, Mapping[Channel, ChannelRecord]],
    briefs: Mapping[str, Mapping[int, RevisionBrief]],
    views: Mapping[str, AdapterView],
) -> None:
    """Raises LookupError where a channel means a revision that is missing: a damaged database loses rows silently."""
    for adapter, channels_of_it in records.items():
        for record in channels_of_it.values():
            if adapter not in views or (record.number is not None and record.number not in briefs.get(adapter, {})):
                raise LookupError(f"{adapter}@{record.number}")


def _briefs(connection: Connection) -> dict[str, dict[int, RevisionBrief]]:
    found: dict[str, dict[int, RevisionBrief]] = {}
    # The draft is large, with files and prompts, so only its one date is read.
    expires = revisions.c.draft["provenance"]["expires"].as_string().label("expires")
    query = select(revisions.c.adapter, revisions.c.number, revisions.c.digest, revisions.c.base, expires)
    for row in connection.execute(query.where(revisions.c.retired_at.is_(None)).order_by(revisions.c.number)):
        until = datetime.fromisoformat(row.expires) if row.expires else None
        found.setdefault(row.adapter, {})[row.number] = RevisionBrief(row.number, row.digest, row.base, until)
    return found


def _channels(connection: Connection) -> dict[str, dict[Channel, ChannelRecord]]:
    found: dict[str, dict[Channel, ChannelRecord]] = {}
    for row in connection.execute(select(channels)):
        found.setdefault(row.adapter, {})[row.channel] = channel_of(row)
    return found
