"""The registry: adapters, immutable revisions, channels, rollouts, the audit, over SQLite or PostgreSQL.

Each method is one transaction, and blocks. All writes take turns, so what a write decides by is still true when it
takes effect. Every method raises RegistryError where the database cannot be used.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Self

from sqlalchemy import Connection, delete, insert, select, update

from patchbay.core.errors import ConfigError, Conflict, RegistryError
from patchbay.core.settings import check_replica_name, replica_url
from patchbay.registry import channels as moving
from patchbay.registry import fleet, journal
from patchbay.registry import revisions as series
from patchbay.registry.accounts import Accounts
from patchbay.registry.canaries import Canaries
from patchbay.registry.database import Database
from patchbay.registry.records import (
    AdapterSettings,
    AdapterView,
    AuditEntry,
    BaseModelRecord,
    Channel,
    ChannelChange,
    ChannelRecord,
    Move,
    ReplicaAddress,
    ReplicaReport,
    Revision,
    RevisionDraft,
    Rollout,
    RolloutState,
    RouterBeat,
    Snapshot,
)
from patchbay.registry.rows import base_of, rollout_of
from patchbay.registry.schema import adapters, bases, revisions, rollouts, uploads
from patchbay.registry.snapshots import read_snapshot
from patchbay.registry.times import SteadyClock


class Registry:
    """One registry. Thread-safe. Open it with `open`, and close it, or use it as a context manager. `accounts`: its
    tenants, their keys and what they used; `canaries`: revisions that are being tried."""

    def __init__(self, database: Database, clock: Callable[[], datetime] | None = None) -> None:
        self._database = database
        self._given = clock is not None
        self._clock = clock = clock or SteadyClock(database.time())
        self.accounts = Accounts(database, clock)
        self.canaries = Canaries(database, clock)

    @classmethod
    def open(
        cls, url: str, *, clock: Callable[[], datetime] | None = None, migrate: bool = True, anew: bool = False
    ) -> Self:
        """The registry in the database at `url`, its tables made or brought up to date first where `migrate` says so.

        `clock`: by default one that starts at the database's own time, so that machines whose clocks differ, or are
        set, agree on what is over. `anew`: a new, empty one may be made where one was. Raises ConfigError where the URL
        is none, RegistryError where it cannot be used or an SQLite file that was there is gone.
        """
        database = Database(url, anew=anew)
        if migrate:
            database.migrate()
        return cls(database, clock)

    @property
    def clock(self) -> Callable[[], datetime]:
        """The time that this registry goes by."""
        return self._clock

    def hurry(self, within_s: float) -> None:
        """Has everything that is still asked of the database end within `within_s` seconds from now, or fail."""
        self._database.hurry(within_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes every connection."""
        self._database.close()

    def generation(self) -> int:
        """Goes up at every change of what a snapshot holds."""
        with self._database.read() as connection:
            return journal.generation(connection)

    def snapshot(self, *, recent_s: float = 3600) -> Snapshot:
        """Everything that a router needs, at one moment, with the moves of the last `recent_s` seconds."""
        with self._database.read() as connection:
            now = self._clock()
            try:
                return read_snapshot(connection, now - timedelta(seconds=recent_s), now)
            except (ConfigError, LookupError, TypeError, ValueError) as error:
                # Half of it would be taken for all that there is.
                raise RegistryError(
                    f"The registry {self._database.shown} holds what cannot be read ({type(error).__name__}).",
                    hint="It may be damaged: restore a backup.",
                ) from error

    def register_base(self, base: BaseModelRecord) -> None:
        """Makes a base model known; the same again changes nothing."""
        with self._database.write() as connection:
            series.register_base(connection, base)

    def bases(self) -> tuple[BaseModelRecord, ...]:
        """Every base model that is known."""
        with self._database.read() as connection:
            return tuple(base_of(row) for row in connection.execute(select(bases).order_by(bases.c.name)))

    def lease_upload(self, hashes: Collection[str], ttl_s: float) -> int:
        """Protects files with these SHA-256 from the clean-up for `ttl_s` seconds, until `release_upload`."""
        values = {"hashes": sorted(hashes), "until": self._clock() + timedelta(seconds=ttl_s)}
        with self._database.write() as connection:
            connection.execute(delete(uploads).where(uploads.c.until < self._clock()))
            return int(connection.execute(insert(uploads).values(**values).returning(uploads.c.id)).scalar_one())

    def release_upload(self, lease: int) -> None:
        """Ends the protection."""
        with self._database.write() as connection:
            connection.execute(delete(uploads).where(uploads.c.id == lease))

    def push(
        self, draft: RevisionDraft, *, actor: str, settings: AdapterSettings | None = None
    ) -> tuple[Revision, bool]:
        """The revision that `draft` becomes, and whether it is new: the same bytes for the same base are the same
        revision, unless that is retired. Numbers are never used twice."""
        with self._database.write() as connection:
            return series.push(connection, draft, at=self._clock(), actor=actor, settings=settings)

    def adapters(self) -> tuple[AdapterView, ...]:
        """Every adapter, by name."""
        found = self.snapshot().adapters
        return tuple(found[name] for name in sorted(found))

    def revisions(self, name: str) -> tuple[Revision, ...]:
        """Every revision of an adapter, the oldest first. Raises NotFound."""
        with self._database.read() as connection:
            return series.all_of(connection, name)

    def revision(self, name: str, number: int) -> Revision:
        """One revision. Raises NotFound."""
        with self._database.read() as connection:
            series.require(connection, name)
            return series.get(connection, name, number)

    def resolve(self, reference: str) -> Revision:
        """The revision that `sql@3` or `sql` names; the latter is what `stable` means, else the newest. Raises
        NotFound."""
        with self._database.read() as connection:
            return series.resolve(connection, reference)

    def set_settings(self, name: str, settings: AdapterSettings, *, actor: str) -> None:
        """Changes how replicas keep an adapter. Raises NotFound."""
        with self._database.write() as connection:
            series.set_settings(connection, name, settings, at=self._clock(), actor=actor)

    def begin_rollout(self, change: ChannelChange) -> Rollout:
        """Asks for a channel to mean a revision, once replicas have it. An unfinished rollout of the channel is
        superseded; where the revision is there already, the rollout is done. Raises NotFound and Conflict."""
        if change.number is None:
            raise Conflict("Nothing cannot be rolled out.", hint="Clear the channel.")
        with self._database.write() as connection:
            return moving.begin(connection, change, change.number, at=self._clock())

    def advance(self, rollout: int, state: RolloutState, *, reason: str | None = None) -> Rollout:
        """Notes how a rollout stands. Raises NotFound, and Conflict where it has ended."""
        with self._database.write() as connection:
            return moving.advance(connection, rollout, state, at=self._clock(), reason=reason)

    def flip(self, rollout: int) -> ChannelRecord:
        """Moves the channel as the rollout wants, and ends it. Raises Conflict where it has ended already, or where the
        channel is no longer where it was: then the rollout has failed."""
        with self._database.write() as connection:
            found = moving.rollout(connection, rollout)
            record = moving.current(connection, found.adapter, found.channel)
            moved = (record.number if record else None) != found.expected
            fault = "somebody else moved the channel" if moved else None
            moving.advance(connection, rollout, "failed" if moved else "done", at=self._clock(), reason=fault)
            if not moved:
                change = ChannelChange(found.adapter, found.number, found.channel, found.actor, found.why, found.kind)
                return moving.move(connection, change, at=self._clock())
        raise Conflict(f"{found.adapter}@{found.number} was not promoted: {fault}.", hint="Look, and try again.")

    def move(self, change: ChannelChange, *, expected: int | None) -> ChannelRecord:
        """Moves a channel at once, where it is at the revision `expected`. Raises NotFound, and Conflict where it is
        elsewhere or the revision cannot be used."""
        now = self._clock()
        with self._database.write() as connection:
            series.require(connection, change.adapter)
            if change.number is not None:
                moving.check_usable(connection, change.adapter, change.number, now)
            found = moving.current(connection, change.adapter, change.channel)
            moving.check_expected(found, expected, change.adapter, change.channel)
            return moving.move(connection, change, at=now)

    def rollback(
        self, name: str, channel: Channel = "stable", *, actor: str, why: str | None, expected: int | None = None
    ) -> ChannelRecord:
        """Moves a channel back at once. `expected`: where it must be now, if that matters. Raises NotFound, and
        Conflict where there is nothing to go back to."""
        with self._database.write() as connection:
            target = moving.rollback_target(connection, name, channel)
            moving.check_usable(connection, name, target, self._clock())
            if expected is not None:
                moving.check_expected(moving.current(connection, name, channel), expected, name, channel)
            change = ChannelChange(name, target, channel, actor, why, "rollback")
            return moving.move(connection, change, at=self._clock())

    def rollout(self, rollout: int) -> Rollout:
        """A rollout. Raises NotFound."""
        with self._database.read() as connection:
            return moving.rollout(connection, rollout)

    def rollouts(self, name: str | None = None, *, limit: int = 100) -> tuple[Rollout, ...]:
        """The last rollouts, of one adapter or of all, the newest first."""
        query = select(rollouts).order_by(rollouts.c.id.desc()).limit(limit)
        query = query if name is None else query.where(rollouts.c.adapter == name)
        with self._database.read() as connection:
            return tuple(rollout_of(row) for row in connection.execute(query))

    def history(self, name: str, channel: Channel) -> tuple[Move, ...]:
        """Every move of a channel, the oldest first."""
        with self._database.read() as connection:
            return moving.history(connection, name, channel)

    def audit(
        self, *, subject: str | None = None, limit: int = 100, before: int | None = None
    ) -> tuple[AuditEntry, ...]:
        """The audit trail, the newest first. `subject`: an adapter or a revision; `before`: an entry's id."""
        with self._database.read() as connection:
            return journal.entries(connection, subject=subject, limit=limit, before=before)

    def record(self, actor: str, action: str, subject: str, details: Mapping[str, Any]) -> None:
        """Adds a line to the audit trail."""
        with self._database.write() as connection:
            journal.note(connection, self._clock(), actor, action, subject, details)

    def retire(self, name: str, number: int, *, actor: str, why: str | None = None) -> Revision:
        """Retires a revision for good. Raises NotFound, and Conflict while a channel means it or a rollout wants it."""
        with self._database.write() as connection:
            return series.retire(connection, name, number, at=self._clock(), actor=actor, why=why)

    def referenced(self) -> frozenset[str]:
        """The SHA-256 of every file that must stay: of revisions that are not retired, and of pushes under way."""
        with self._database.read() as connection:
            return _referenced(connection, self._clock())

    def collect(self, candidates: Iterable[str], remove: Callable[[str], None]) -> int:
        """Calls `remove` with each candidate that is not referenced now, and counts them. Nothing can come to be
        referenced meanwhile: pushes wait."""
        with self._database.write() as connection:
            kept = _referenced(connection, self._clock())
            gone = [sha256 for sha256 in candidates if sha256 not in kept]
            for sha256 in gone:
                remove(sha256)
            return len(gone)

    def beat(self, beat: RouterBeat) -> None:
        """Notes that a router is alive."""
        with self._database.write() as connection:
            fleet.beat(connection, beat)

    def routers(self, alive_within_s: float) -> tuple[RouterBeat, ...]:
        """The routers that gave a sign of life in the last `alive_within_s` seconds."""
        with self._database.read() as connection:
            return fleet.alive(connection, self._clock() - timedelta(seconds=alive_within_s))

    def take_lease(self, name: str, holder: str, ttl_s: float) -> bool:
        """Whether `holder` has the lease called `name` for the next `ttl_s` seconds."""
        with self._database.write() as connection:
            now = None if self._given else self._database.time_in(connection)
            return fleet.take_lease(connection, name, holder, now or self._clock(), ttl_s)

    def drop_lease(self, name: str, holder: str) -> None:
        """Gives a lease up, where `holder` has it."""
        with self._database.write() as connection:
            fleet.drop_lease(connection, name, holder)

    def put_report(self, report: ReplicaReport) -> None:
        """Replaces what is known of a replica."""
        with self._database.write() as connection:
            fleet.put_report(connection, report)

    def reports(self) -> tuple[ReplicaReport, ...]:
        """What is known of each replica, by name."""
        with self._database.read() as connection:
            return fleet.all_reports(connection)

    def forget_report(self, name: str) -> None:
        """Forgets a replica."""
        with self._database.write() as connection:
            fleet.forget_report(connection, name)

    def add_replica(self, name: str, url: str, *, actor: str) -> ReplicaAddress:
        """Has routers use the replica at `url` by that name. Raises ConfigError where either is none."""
        check_replica_name(name)
        replica = ReplicaAddress(name, replica_url(url), actor, self._clock())
        with self._database.write() as connection:
            fleet.put_replica(connection, replica)
            journal.note(connection, replica.added_at, actor, "replica.add", name, {"url": replica.url})
        return replica

    def remove_replica(self, name: str, *, actor: str) -> ReplicaAddress:
        """Has routers use a replica no more, and returns what it was. Raises NotFound."""
        with self._database.write() as connection:
            gone = fleet.drop_replica(connection, name)
            journal.note(connection, self._clock(), actor, "replica.remove", name, {"url": gone.url})
        return gone

    def replicas(self) -> tuple[ReplicaAddress, ...]:
        """The replicas that routers are to use, by name."""
        with self._database.read() as connection:
            return fleet.all_replicas(connection)

    def declared(self, name: str) -> str | None:
        """What a configuration last declared an adapter as, or None."""
        with self._database.read() as connection:
            query = select(adapters.c.declared).where(adapters.c.name == name)
            found: str | None = connection.execute(query).scalar_one_or_none()
            return found

    def set_declared(self, name: str, declared: str) -> None:
        """Notes what a configuration has declared an adapter as. Raises NotFound."""
        with self._database.write() as connection:
            series.require(connection, name)
            connection.execute(update(adapters).where(adapters.c.name == name).values(declared=declared))


def _referenced(connection: Connection, now: datetime) -> frozenset[str]:
    kept = connection.execute(select(revisions.c.draft).where(revisions.c.retired_at.is_(None)))
    files = {file["sha256"] for row in kept for file in row.draft["files"]}
    leased = connection.execute(select(uploads.c.hashes).where(uploads.c.until > now))
    return frozenset(files.union(*(row.hashes for row in leased)))
