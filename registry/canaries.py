"""The canaries in the registry's database: their records, the routers' counts, and all looks.

Each method is one transaction, and blocks; each raises RegistryError where the database cannot be used. A look, its
verdict, and the changes that follow are one transaction, so no router can see a verdict before the weight that goes
with it, and no verdict is made twice.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, Select, func, insert, select, true, update

from patchbay.core.errors import Conflict, NotFound
from patchbay.core.names import revision_name
from patchbay.registry import canary_looks as looking
from patchbay.registry import channels as moving
from patchbay.registry import journal
from patchbay.registry.canary_records import (
    LIVE,
    CanaryDraft,
    CanaryEnd,
    CanaryRecord,
    CanaryTally,
    Checkpoint,
    Look,
    LookDraft,
)
from patchbay.registry.database import Database
from patchbay.registry.records import ChannelChange, Rollout
from patchbay.registry.schema import canaries

# Ended canaries stay in snapshots for this long, so that routers that were held up still see their ends.
_REMEMBERED = timedelta(minutes=1)
# How long a canary can be replayed after its end.
_KEPT = timedelta(days=90)
# The most canaries under way that are listed beside ended ones.
_MOST_LIVE = 1000
_FIELDS = tuple(field.name for field in fields(CanaryRecord))
Decide = Callable[[CanaryRecord, Sequence[CanaryTally], Rollout | None, int | None], LookDraft | None]


class Canaries:
    """The canaries of one registry."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock

    def start(self, draft: CanaryDraft) -> CanaryRecord:
        """Begins a canary: its revision is brought to every replica and tested there first; a pool's replicas must be
        there and ready.

        Raises NotFound, and Conflict where the adapter has no stable revision or another canary, where it is the stable
        one, or where it was rolled back before and there is no `why`.
        """
        now = self._clock()
        with self._database.write() as connection:
            if draft.pool is None:
                # Said first: who has misspelt it does not want to hear of another.
                moving.check_usable(connection, draft.adapter, draft.number, now)
            _check_free(connection, draft)
            looking.forget_before(connection, now - _KEPT)
            stable, rollout = 0, None
            if draft.pool is None:
                stable = _stable(connection, draft)
                change = ChannelChange(
                    adapter=draft.adapter, number=draft.number, channel="canary", actor=draft.actor, why=draft.why
                )
                rollout = moving.begin(connection, change, draft.number, at=now).id
            values: dict[str, Any] = dict.fromkeys(_FIELDS)
            del values["id"]
            values |= {
                "adapter": draft.adapter,
                "number": draft.number,
                "baseline": stable,
                "plan": dict(draft.plan),
                "phase": "pending",
                "reason": "it has just been asked for",
                "pool": draft.pool,
                "weight": 0.0,
                "rollout": rollout,
                "cursor": {},
                "actor": draft.actor,
                "why": draft.why,
                "created_at": now,
                "updated_at": now,
            }
            values |= {"step": 0, "samples": 0, "version": 1, "looks": 0, "passed": False, "cut": False}
            values |= {"paused_s": 0.0, "judged": 0}
            made = connection.execute(insert(canaries).values(values).returning(canaries.c.id)).scalar_one()
            details = {"canary": made, "baseline": stable or None, "why": draft.why}
            record = _one(connection, made)
            _note(connection, record, now, (draft.actor, "canary.start"), details)
            return record

    def change(
        self, canary: CanaryRecord, changes: Mapping[str, Any], *, actor: str, action: str, why: str | None = None
    ) -> CanaryRecord:
        """Changes a canary as somebody wants it. Raises NotFound, and Conflict where it is another than `canary` by
        now."""
        now = self._clock()
        with self._database.write() as connection:
            return _changed(connection, canary, changes, now, (actor, action, why))

    def end(self, ending: CanaryEnd) -> CanaryRecord:
        """Makes the changes, empties the channel `canary`, and withdraws rollouts of its revision. Raises as `change`,
        and Conflict where `stable` means the revision by now."""
        with self._database.write() as connection:
            return ended(connection, ending, self._clock())

    def promote(self, canary: CanaryRecord, *, actor: str, why: str | None) -> CanaryRecord:
        """Has `stable` mean the revision, whatever the evidence says. Raises as `change`."""
        now = self._clock()
        with self._database.write() as connection:
            changes: dict[str, Any] = {"phase": "promoting", "reason": f"{actor} wants it{': ' + why if why else ''}"}
            if canary.pool is None:
                change = ChannelChange(
                    adapter=canary.adapter, number=canary.number, channel="stable", actor=actor, why=why
                )
                changes["rollout"] = moving.begin(connection, change, canary.number, at=now).id
            return _changed(connection, canary, changes, now, (actor, "canary.promote", why))

    def tally(self, source: str, counts: Mapping[int, Iterable[Mapping[str, Any]]]) -> None:
        """Stores the counts of the router `source`, by canary. Counts of ended canaries are dropped."""
        now = self._clock()
        with self._database.write() as connection:
            query = select(canaries.c.id).where(canaries.c.id.in_(list(counts)), canaries.c.phase.in_(LIVE))
            live = connection.execute(query).scalars()
            looking.keep(connection, source, {canary: counts[canary] for canary in live}, now)

    def tally_from(
        self,
        canary: int,
        source: str,
        counts: Iterable[Mapping[str, Any]],
        cursor: tuple[Mapping[str, Any], Mapping[str, Any]],
    ) -> None:
        """Stores counts from a `source` that returns everything it ever counted.

        `counts`: the growth since the last time; `cursor`: the place where the source was read before, and where it is
        read now. Where the record has another first place, somebody else has read the same already, and nothing is
        stored. Raises NotFound.
        """
        now = self._clock()
        with self._database.write() as connection:
            record = _one(connection, canary)
            if record.live and dict(record.cursor) == dict(cursor[0]):
                connection.execute(update(canaries).where(canaries.c.id == canary).values(cursor=dict(cursor[1])))
                looking.keep(connection, source, {canary: counts}, now)

    def look(self, canary: int, decide: Decide) -> CanaryRecord:
        """Takes a look: `decide` is given the record, what came since the last look, the rollout that it waits for, or
        else one that `stable` waits for, and the number that `stable` means; it says what follows, or that nothing
        does: then what came stays for the next.

        Raises NotFound.
        """
        now = self._clock()
        with self._database.write() as connection:
            record = _one(connection, canary)
            if not record.live:
                return record
            found = looking.pending(connection, canary)
            channel = moving.current(connection, record.adapter, "stable")
            draft = decide(record, found, _waited_for(connection, record), channel.number if channel else None)
            if draft is None:
                return record
            looking.put(connection, canary, record.looks + 1, draft, found, now)
            return _acted(connection, record, draft, now)

    def get(self, canary: int) -> CanaryRecord:
        """One canary. Raises NotFound."""
        with self._database.read() as connection:
            return _one(connection, canary)

    def live(self, subject: str) -> CanaryRecord:
        """The canary of an adapter, or of a pool, that has not ended. Raises NotFound."""
        of_it = (canaries.c.adapter == subject) | (canaries.c.pool == subject)
        query = select(canaries).where(of_it, canaries.c.phase.in_(LIVE)).order_by(canaries.c.id).limit(1)
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            raise NotFound(f"There is no canary of {subject} under way.", hint="patchbay canary history")
        return _record_of(row)

    def last(self, adapter: str | None, pool: str | None) -> CanaryRecord:
        """The last canary of an adapter, or of a pool; of all where neither is named. Raises NotFound."""
        query = select(canaries).order_by(canaries.c.id.desc()).limit(1)
        query = query if adapter is None else query.where(canaries.c.adapter == adapter)
        query = query if pool is None else query.where(canaries.c.pool == pool)
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            subject = pool or adapter
            of_it = f" of {subject[:63]}" if subject else ""
            raise NotFound(f"There was no canary{of_it} yet.", param="pool" if pool else "adapter" if adapter else None)
        return _record_of(row)

    def history(self, subject: str | None = None, *, limit: int = 100) -> tuple[CanaryRecord, ...]:
        """Those that are under way, at most a thousand, and the last `limit` that have ended; of one adapter or pool or
        of all, the newest first."""
        of_it = (canaries.c.adapter == subject) | (canaries.c.pool == subject) if subject is not None else true()
        live = canaries.c.phase.in_(LIVE)
        ids = select(canaries.c.id).where(of_it).order_by(canaries.c.id.desc())
        under_way, ended = ids.where(live).limit(_MOST_LIVE), ids.where(~live).limit(limit)
        query = select(canaries).where(canaries.c.id.in_(under_way) | canaries.c.id.in_(ended))
        with self._database.read() as connection:
            return tuple(_record_of(row) for row in connection.execute(query.order_by(canaries.c.id.desc())))

    def looks(self, canary: int, *, after: int = 0, limit: int | None = None) -> tuple[Look, ...]:
        """Looks at a canary, the first one first, with all that they were taken by: those after the one with the number
        `after`, at most `limit`."""
        with self._database.read() as connection:
            return looking.read(connection, canary, after, limit)

    def thinned(self, canary: int, most: int) -> tuple[Look, ...]:
        """At most about so many looks at a canary, evenly, without what they were taken by."""
        with self._database.read() as connection:
            return looking.thinned(connection, canary, most)

    def judged(self, *ids: int) -> Mapping[int, Look]:
        """Returns the last look at each of these canaries that judged its evidence, without the counts that it used."""
        with self._database.read() as connection:
            return looking.judged(connection, ids)

    def resumed_from(self, canary: int) -> tuple[Checkpoint | None, tuple[Look, ...]]:
        """Reads the last checkpoint of a canary, None where there is none, and the looks after it."""
        with self._database.read() as connection:
            known = looking.checkpoint(connection, canary)
            return known, looking.read(connection, canary, known.look if known is not None else 0, None)


def ended(connection: Connection, ending: CanaryEnd, now: datetime) -> CanaryRecord:
    """Ends a canary within a transaction that the caller has begun. Raises as `Canaries.end`."""
    _check_not_stable(connection, ending.canary)
    changed = _changed(connection, ending.canary, ending.changes, now, (ending.actor, ending.action, ending.why))
    _clear(connection, changed, ending.actor, now)
    return changed


def recent_canaries(connection: Connection, now: datetime) -> tuple[CanaryRecord, ...]:
    """Lists canaries that are live or have just ended, and the last of a pool, whose verdict stays in force."""
    tried = canaries.c.pool.is_not(None) & (canaries.c.phase != "failed")
    last = select(func.max(canaries.c.id)).where(tried).scalar_subquery()
    recent = canaries.c.ended_at >= now - _REMEMBERED
    query = select(canaries).where(canaries.c.phase.in_(LIVE) | recent | (canaries.c.id == last))
    return tuple(_record_of(row) for row in connection.execute(query.order_by(canaries.c.id)))


def _acted(connection: Connection, record: CanaryRecord, look: LookDraft, now: datetime) -> CanaryRecord:
    """Makes the changes that follow from a look."""
    changes: dict[str, Any] = {**look.changes, "looks": record.looks + 1}
    if look.judged:
        changes["judged"] = record.looks + 1
    if look.promote and record.pool is None:
        change = ChannelChange(
            adapter=record.adapter, number=record.number, channel="stable", actor="canary", why=f"canary {record.id}"
        )
        changes["rollout"] = moving.begin(connection, change, record.number, at=now).id
    by = ("canary", look.action, None) if look.action is not None else None
    changed = _changed(connection, record, changes, now, by)
    if look.clear:
        _clear(connection, changed, "canary", now)
    return changed


def _changed(
    connection: Connection,
    record: CanaryRecord,
    changes: Mapping[str, Any],
    now: datetime,
    by: tuple[str, str, str | None] | None,
) -> CanaryRecord:
    """Changes `record`, compare-and-swap.

    `by`: the actor, the action and the reason for the audit, None where the change is of no interest there.
    """
    fresh = _one(connection, record.id)
    if fresh.version != record.version or not fresh.live:
        words = f"The canary {record.id} is {fresh.phase} by now: somebody else has changed it."
        raise Conflict(words, hint="Look, and try again.")
    values = {**changes, **_clocks(record, changes.get("phase"), now), "updated_at": now}
    if by is not None:
        values["version"] = record.version + 1
        actor, action, why = by
        details = {"canary": record.id, "why": why, "reason": changes.get("reason"), "weight": changes.get("weight")}
        _note(connection, record, now, (actor, action), details)
    if changes.get("phase") == "rolling_back":
        values |= {"verdict_at": now, "verdict_generation": journal.generation(connection)}
    connection.execute(update(canaries).where(canaries.c.id == record.id).values(**values))
    return _one(connection, record.id)


def _clocks(record: CanaryRecord, phase: str | None, now: datetime) -> Mapping[str, Any]:
    """Returns the changes to the canary's pauses that follow from its change to `phase`."""
    if phase in (None, record.phase):
        return {}
    if phase == "paused":
        return {"paused_at": now}
    return {"paused_at": None, "paused_by": None, "paused_s": record.paused_until(now)}


def _waited_for(connection: Connection, record: CanaryRecord) -> Rollout | None:
    """The rollout that a canary waits for: its own, or else one that `stable` of its adapter is under way to."""
    if record.rollout is not None:
        return moving.rollout(connection, record.rollout)
    return moving.under_way(connection, record.adapter, "stable") if record.pool is None else None


def _note(
    connection: Connection, record: CanaryRecord, now: datetime, by: tuple[str, str], details: Mapping[str, Any]
) -> None:
    """Writes an action on a canary into the audit, and has routers look. `by`: the actor and the action."""
    journal.note(connection, now, *by, record.name, details)
    journal.bump(connection)


def _clear(connection: Connection, record: CanaryRecord, actor: str, now: datetime) -> None:
    """Empties the channel `canary`, where it means this canary, and ends a rollout to it.

    A revision that is rolled back becomes `stable` by no rollout either, whoever has begun it.
    """
    if record.pool is not None:
        return
    if record.phase == "rolling_back":
        reason = f"canary {record.id} is rolled back: {record.reason}"
        moving.withdraw(connection, record.adapter, record.number, at=now, reason=reason)
    moving.supersede(connection, record.adapter, "canary", at=now, reason=f"canary {record.id} has ended")
    current = moving.current(connection, record.adapter, "canary")
    if current is not None and current.number == record.number:
        name, why = record.adapter, f"canary {record.id} has ended"
        change = ChannelChange(adapter=name, number=None, channel="canary", actor=actor, why=why, kind="clear")
        moving.move(connection, change, at=now)


def _check_not_stable(connection: Connection, record: CanaryRecord) -> None:
    found = moving.current(connection, record.adapter, "stable") if record.pool is None else None
    if found is not None and found.number == record.number:
        raise Conflict(
            f"'stable' means {record.name} by now, so it is too late to end its canary.",
            hint=f"To go back: patchbay adapters rollback {record.adapter}",
        )


def _stable(connection: Connection, draft: CanaryDraft) -> int:
    found = moving.current(connection, draft.adapter, "stable")
    if found is None or found.number is None:
        raise Conflict(
            f"{draft.adapter} has no stable revision to compare with.",
            param="adapter",
            hint=f"Promote one first: patchbay adapters promote {revision_name(draft.adapter, draft.number)}",
        )
    if found.number == draft.number:
        raise Conflict(f"'stable' means {revision_name(draft.adapter, draft.number)} already.", param="revision")
    return found.number


def _check_free(connection: Connection, draft: CanaryDraft) -> None:
    of_it = select(canaries).where(canaries.c.adapter == draft.adapter)
    row = connection.execute(of_it.where(canaries.c.phase.in_(LIVE))).first()
    if row is not None:
        live = _record_of(row)
        raise Conflict(
            f"{live.name} has a canary already (canary {live.id}, {live.phase}).",
            hint=f"To end it: patchbay canary abort {live.subject}",
        )
    failed = connection.execute(_failed_before(draft)).first()
    if failed is not None and not draft.why:
        raise Conflict(
            f"{_record_of(failed).name} was rolled back before: {failed.reason}.",
            param="why",
            hint="To try it again, give the reason: --why '…'",
        )


def _failed_before(draft: CanaryDraft) -> Select[Any]:
    """Selects the last canary of the same revision that was rolled back.

    A pool keeps its name when its replicas change, so for a pool only the last canary of all counts.
    """
    back = canaries.c.phase == "rolled_back"
    if draft.pool is None:
        same = select(canaries).where(canaries.c.adapter == draft.adapter, canaries.c.number == draft.number, back)
        return same.order_by(canaries.c.id.desc()).limit(1)
    last = select(func.max(canaries.c.id)).where(canaries.c.pool == draft.pool).scalar_subquery()
    return select(canaries).where(canaries.c.id == last, back)


def _one(connection: Connection, canary: int) -> CanaryRecord:
    row = connection.execute(select(canaries).where(canaries.c.id == canary)).one_or_none()
    if row is None:
        raise NotFound(f"There is no canary {canary}.", param="canary", hint="patchbay canary history")
    return _record_of(row)


def _record_of(row: Row[Any]) -> CanaryRecord:
    return CanaryRecord(**{name: getattr(row, name) for name in _FIELDS})
