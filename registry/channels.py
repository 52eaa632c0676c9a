"""The channels of adapters and the rollouts that move them, within a transaction that the caller has begun."""

from datetime import datetime

from sqlalchemy import Connection, insert, select, update

from patchbay.core.errors import Conflict, NotFound
from patchbay.core.names import revision_name
from patchbay.registry import revisions as revision_store
from patchbay.registry.history import previous_of
from patchbay.registry.journal import bump, note
from patchbay.registry.records import UNFINISHED, Channel, ChannelChange, ChannelRecord, Move, Rollout, RolloutState
from patchbay.registry.rows import channel_of, is_expired, move_of, rollout_of
from patchbay.registry.schema import channels, moves, revisions, rollouts

# A rollout goes through these states in order. Only `staging` may come again.
_ORDER: tuple[RolloutState, ...] = ("pending", "staging", "testing")


def current(connection: Connection, name: str, channel: Channel) -> ChannelRecord | None:
    """Reads a channel of the adapter `name`, or returns None where nothing was ever in it."""
    query = select(channels).where(channels.c.adapter == name, channels.c.channel == channel)
    row = connection.execute(query).one_or_none()
    return channel_of(row) if row else None


def history(connection: Connection, name: str, channel: Channel) -> tuple[Move, ...]:
    """Lists every move of a channel of the adapter `name`, the oldest first."""
    query = select(moves).where(moves.c.adapter == name, moves.c.channel == channel).order_by(moves.c.version)
    return tuple(move_of(row) for row in connection.execute(query))


def check_usable(connection: Connection, name: str, number: int, now: datetime) -> None:
    """Raises NotFound where there is no such revision, Conflict where it is retired or has expired."""
    revision_store.require(connection, name)
    revision = revision_store.get(connection, name, number)
    if revision.retired_at is not None:
        raise Conflict(f"{revision.name} is retired.", hint="Push it again: that makes a new revision.")
    if is_expired(revision, now):
        raise Conflict(f"{revision.name} has expired ({revision.draft.provenance.expires:%Y-%m-%d}).")


def move(connection: Connection, change: ChannelChange, *, at: datetime) -> ChannelRecord:
    """Moves a channel, whatever was in it before, and ends the unfinished rollouts of the channel."""
    name, channel, number = change.adapter, change.channel, change.number
    supersede(connection, name, channel, at=at, reason="the channel was moved meanwhile")
    before = current(connection, name, channel)
    version = before.version + 1 if before else 1
    connection.execute(
        insert(moves).values(
            adapter=name,
            channel=channel,
            version=version,
            kind=change.kind,
            before=before.number if before else None,
            after=number,
            actor=change.actor,
            why=change.why,
            at=at,
        )
    )
    previous = previous_of(history(connection, name, channel), _usable(connection, name))
    values = {"number": number, "previous": previous, "version": version, "changed_at": at}
    if before is None:
        connection.execute(insert(channels).values(adapter=name, channel=channel, **values))
    else:
        connection.execute(
            update(channels).where(channels.c.adapter == name, channels.c.channel == channel).values(**values)
        )
    subject = name if number is None else revision_name(name, number)
    details = {"channel": channel, "from": before.number if before else None, "why": change.why}
    note(connection, at, change.actor, change.kind, subject, details)
    bump(connection)
    return ChannelRecord(
        adapter=name, channel=channel, number=number, previous=previous, version=version, changed_at=at
    )


def check_expected(record: ChannelRecord | None, expected: int | None, name: str, channel: Channel) -> None:
    """Raises Conflict where the channel is not at the revision `expected`: somebody else has moved it.

    `record`: the channel as it is, None where nothing was ever in it.
    """
    number = record.number if record else None
    if number != expected:
        is_now = revision_name(name, number) if number is not None else "empty"
        raise Conflict(
            f"'{channel}' of {name} is {is_now} by now: somebody else has moved it.", hint="Look, and try again."
        )


def rollback_target(connection: Connection, name: str, channel: Channel) -> int:
    """Returns the number of the revision that a rollback goes to. Raises NotFound, and Conflict where there is none."""
    revision_store.require(connection, name)
    record = current(connection, name, channel)
    if record is None or record.previous is None:
        raise Conflict(f"{name} has no earlier revision in '{channel}' to go back to.")
    return record.previous


def begin(connection: Connection, change: ChannelChange, number: int, *, at: datetime) -> Rollout:
    """Begins the rollout of the revision `number`, in place of an unfinished one of the same channel.

    Where the channel is there already, the rollout is done at once. `at`: now, by the registry's clock. Raises NotFound
    and Conflict where the revision cannot be used.
    """
    name, channel, target = change.adapter, change.channel, revision_name(change.adapter, number)
    check_usable(connection, name, number, at)
    supersede(connection, name, channel, at=at, reason=f"{target} was asked for instead")
    record = current(connection, name, channel)
    expected = record.number if record else None
    is_there = expected == number
    values = {
        "adapter": name,
        "channel": channel,
        "number": number,
        "expected": expected,
        "kind": change.kind,
        "state": "done" if is_there else "pending",
        "reason": "it was there already" if is_there else None,
        "actor": change.actor,
        "why": change.why,
        "created_at": at,
        "updated_at": at,
    }
    rollout_id = connection.execute(insert(rollouts).values(values).returning(rollouts.c.id)).scalar_one()
    if not is_there:
        details = {"channel": channel, "rollout": rollout_id, "why": change.why, "kind": change.kind}
        note(connection, at, change.actor, "rollout", target, details)
        bump(connection)
    return rollout(connection, rollout_id)


def rollout(connection: Connection, number: int) -> Rollout:
    """Reads the rollout with the id `number`. Raises NotFound."""
    row = connection.execute(select(rollouts).where(rollouts.c.id == number)).one_or_none()
    if row is None:
        raise NotFound(f"There is no rollout {number}.")
    return rollout_of(row)


def advance(connection: Connection, number: int, state: RolloutState, *, at: datetime, reason: str | None) -> Rollout:
    """Sets the state of a rollout. Raises NotFound, and Conflict where it has ended, or would go back.

    `reason`: why it is in that state, in words, or None.
    """
    now = rollout(connection, number)
    if now.state not in UNFINISHED:
        raise Conflict(f"Rollout {number} is {now.state} already.")
    if state in _ORDER and _ORDER.index(state) < _ORDER.index(now.state) and state != "staging":
        raise Conflict(f"Rollout {number} is {now.state}, and cannot be {state} again.")
    _end(connection, number, state, at=at, reason=reason)
    if state == "failed":
        note(connection, at, now.actor, "rollout-failed", revision_name(now.adapter, now.number), {"reason": reason})
    return rollout(connection, number)


def supersede(connection: Connection, name: str, channel: Channel, *, at: datetime, reason: str) -> None:
    """Ends the unfinished rollouts of a channel as superseded, for `reason`, in words."""
    query = select(rollouts.c.id).where(
        rollouts.c.adapter == name, rollouts.c.channel == channel, rollouts.c.state.in_(UNFINISHED)
    )
    for row in connection.execute(query).all():
        _end(connection, row.id, "superseded", at=at, reason=reason)


def withdraw(connection: Connection, name: str, number: int, *, at: datetime, reason: str) -> None:
    """Ends the unfinished rollouts of a revision to `stable` as superseded, for `reason`, in words."""
    query = select(rollouts.c.id).where(
        rollouts.c.adapter == name,
        rollouts.c.channel == "stable",
        rollouts.c.number == number,
        rollouts.c.state.in_(UNFINISHED),
    )
    for row in connection.execute(query).all():
        _end(connection, row.id, "superseded", at=at, reason=reason)


def under_way(connection: Connection, name: str, channel: Channel) -> Rollout | None:
    """Returns the unfinished rollout of a channel, or None."""
    query = select(rollouts).where(
        rollouts.c.adapter == name, rollouts.c.channel == channel, rollouts.c.state.in_(UNFINISHED)
    )
    row = connection.execute(query.order_by(rollouts.c.id.desc()).limit(1)).one_or_none()
    return rollout_of(row) if row is not None else None


def _end(connection: Connection, number: int, state: RolloutState, *, at: datetime, reason: str | None) -> None:
    connection.execute(
        update(rollouts).where(rollouts.c.id == number).values(state=state, reason=reason, updated_at=at)
    )
    bump(connection)


def _usable(connection: Connection, name: str) -> list[int]:
    query = select(revisions.c.number).where(revisions.c.adapter == name, revisions.c.retired_at.is_(None))
    return [row.number for row in connection.execute(query)]
