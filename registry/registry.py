"""The registry's interface: adapters, immutable revisions, channels, rollouts and the audit, in SQLite or PostgreSQL.

Each method is one transaction, and blocks. Writes run one at a time, so what a write decides by is still true when it
takes effect. Every method raises RegistryError where the database cannot be used.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Self

from sqlalchemy import Connection, delete, insert, select, update

from patchbay.core.errors import ConfigError, Conflict, RegistryError
from patchbay.core.settings import check_replica_name, replica_url
from patchbay.registry import channels, fleet, journal
from patchbay.registry import revisions as revision_store
from patchbay.registry.accounts import Accounts
from patchbay.registry.canaries import Canaries, ended
from patchbay.registry.canary_records import CanaryEnd
from patchbay.registry.database import Database
from patchbay.registry.datasets import Datasets, dataset_files
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
from patchbay.registry.responses import Responses
from patchbay.registry.rows import base_of, rollout_of
from patchbay.registry.schema import adapters, bases, revisions, rollouts, uploads
from patchbay.registry.snapshots import read_snapshot
from patchbay.registry.times import SteadyClock, utc_now


class Registry:
    """One registry. Thread-safe. Open it with `open`, and close it, or use it as a context manager.

    `accounts`: its tenants, their keys and what they used; `canaries`: the revisions that are being tried; `responses`:
    what clients asked to have kept; `datasets`: what revisions are trained on.
    """

    def __init__(self, database: Database, clock: Callable[[], datetime] | None = None) -> None:
        self._database = database
        self._has_own_clock = clock is not None
        self._clock = clock = clock or SteadyClock(database.time())
        self.accounts = Accounts(database, clock)
        self.canaries = Canaries(database, clock)
        self.responses = Responses(database, clock)
        self.datasets = Datasets(database, clock)

    @classmethod
    def open(
        cls, url: str, *, clock: Callable[[], datetime] | None = None, migrate: bool = True, anew: bool = False
    ) -> Self:
        """Opens the registry in the database at `url`, and first makes or migrates its tables where `migrate` is set.

        `clock`: by default one that starts at the database's own time, so that machines whose clocks differ, or are
        set, agree on what is over. `anew`: whether a new, empty database may be made where there was one before. Raises
        ConfigError where `url` is not a database's URL, RegistryError where the database cannot be used or an SQLite
        file that was there is gone.
        """
        database = Database(url, anew=anew)
        if migrate:
            database.migrate()
        return cls(database, clock)

    @property
    def clock(self) -> Callable[[], datetime]:
        """The registry's clock, which returns aware times in UTC."""
        return self._clock

    def hurry(self, within_s: float) -> None:
        """Makes all queries to the database end within `within_s` seconds from now, or fail."""
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
        """Reads the generation, which goes up at every change of what a snapshot holds."""
        with self._database.read() as connection:
            return journal.generation(connection)

    def snapshot(self, *, recent_s: float = 3600) -> Snapshot:
        """Reads everything that a router needs, at one moment, with the moves of the last `recent_s` seconds."""
        with self._database.read() as connection:
            now = self._clock()
            try:
                return read_snapshot(connection, now - timedelta(seconds=recent_s), now)
            except (ConfigError, LookupError, TypeError, ValueError) as error:
                # A part of it is not returned: routers would take that for the whole registry.
                raise RegistryError(
                    f"The registry {self._database.shown} holds what cannot be read ({type(error).__name__}).",
                    hint="It may be damaged: restore a backup.",
                ) from error

    def register_base(self, base: BaseModelRecord) -> None:
        """Adds a base model; the same again changes nothing."""
        with self._database.write() as connection:
            revision_store.register_base(connection, base)

    def bases(self) -> tuple[BaseModelRecord, ...]:
        """Lists every base model that is known, by name."""
        with self._database.read() as connection:
            return tuple(base_of(row) for row in connection.execute(select(bases).order_by(bases.c.name)))

    def lease_upload(self, hashes: Collection[str], ttl_s: float) -> int:
        """Protects files with these SHA-256 from the clean-up for `ttl_s` seconds, until `release_upload`.

        Returns the lease's id.
        """
        values = {"hashes": sorted(hashes), "until": self._clock() + timedelta(seconds=ttl_s)}
        with self._database.write() as connection:
            connection.execute(delete(uploads).where(uploads.c.until < self._clock()))
            return int(connection.execute(insert(uploads).values(**values).returning(uploads.c.id)).scalar_one())

    def release_upload(self, lease: int) -> None:
        """Ends the protection of an upload's files. `lease`: the id that `lease_upload` returned."""
        with self._database.write() as connection:
            connection.execute(delete(uploads).where(uploads.c.id == lease))

    def push(
        self, draft: RevisionDraft, *, actor: str, settings: AdapterSettings | None = None
    ) -> tuple[Revision, bool]:
        """Adds the revision of `draft`, and returns it and whether it is new.

        The same bytes for the same base are the same revision, unless that is retired. Numbers are never used twice.
        `settings`: the adapter's new ones, None to leave them.
        """
        with self._database.write() as connection:
            return revision_store.push(connection, draft, at=self._clock(), actor=actor, settings=settings)

    def adapters(self) -> tuple[AdapterView, ...]:
        """Lists every adapter, by name."""
        found = self.snapshot().adapters
        return tuple(found[name] for name in sorted(found))

    def revisions(self, name: str) -> tuple[Revision, ...]:
        """Lists every revision of an adapter, the oldest first. Raises NotFound."""
        with self._database.read() as connection:
            return revision_store.all_of(connection, name)

    def revision(self, name: str, number: int) -> Revision:
        """Reads a revision. Raises NotFound."""
        with self._database.read() as connection:
            revision_store.require(connection, name)
            return revision_store.get(connection, name, number)

    def resolve(self, reference: str) -> Revision:
        """Finds the revision that `sql@3` or `sql` names; the latter is what `stable` means, else the newest.

        Raises NotFound.
        """
        with self._database.read() as connection:
            return revision_store.resolve(connection, reference)

    def set_settings(self, name: str, settings: AdapterSettings, *, actor: str) -> None:
        """Changes how replicas keep an adapter. Raises NotFound."""
        with self._database.write() as connection:
            revision_store.set_settings(connection, name, settings, at=self._clock(), actor=actor)

    def begin_rollout(self, change: ChannelChange, *, ending: CanaryEnd | None = None) -> Rollout:
        """Asks for a channel to mean a revision, once replicas have it. An unfinished rollout of the channel is
        superseded; where the revision is there already, the rollout is done. `ending`: of a canary, which ends by this
        and not without it. Raises NotFound and Conflict."""
        if change.number is None:
            raise Conflict("Nothing cannot be rolled out.", hint="Clear the channel.")
        with self._database.write() as connection:
            self._end_canary(connection, ending)
            return channels.begin(connection, change, change.number, at=self._clock())

    def advance(self, rollout: int, state: RolloutState, *, reason: str | None = None) -> Rollout:
        """Sets the state of a rollout. Raises NotFound, and Conflict where it has ended, or would go back.

        `reason`: why it is in that state, in words.
        """
        with self._database.write() as connection:
            return channels.advance(connection, rollout, state, at=self._clock(), reason=reason)

    def flip(self, rollout: int) -> ChannelRecord:
        """Moves the channel to the rollout's revision, and ends the rollout.

        Raises Conflict where the rollout has ended already, or where the channel is no longer where it was when the
        rollout began: then the rollout has failed.
        """
        with self._database.write() as connection:
            record = channels.rollout(connection, rollout)
            current = channels.current(connection, record.adapter, record.channel)
            moved = (current.number if current else None) != record.expected
            failure = "somebody else moved the channel" if moved else None
            channels.advance(connection, rollout, "failed" if moved else "done", at=self._clock(), reason=failure)
            if not moved:
                return channels.move(connection, record.change, at=self._clock())
        # Outside of the transaction, which must not be rolled back: it has marked the rollout as failed.
        raise Conflict(f"{record.adapter}@{record.number} was not promoted: {failure}.", hint="Look, and try again.")

    def move(self, change: ChannelChange, *, expected: int | None, ending: CanaryEnd | None = None) -> ChannelRecord:
        """Moves a channel at once, where it is at the revision `expected`. `ending`: of a canary, which ends by this
        and not without it. Raises NotFound, and Conflict where it is elsewhere or the revision cannot be used."""
        now = self._clock()
        with self._database.write() as connection:
            self._end_canary(connection, ending)
            revision_store.require(connection, change.adapter)
            if change.number is not None:
                channels.check_usable(connection, change.adapter, change.number, now)
            current = channels.current(connection, change.adapter, change.channel)
            channels.check_expected(current, expected, change.adapter, change.channel)
            return channels.move(connection, change, at=now)

    def rollback(
        self,
        name: str,
        channel: Channel = "stable",
        *,
        actor: str,
        why: str | None,
        expected: int | None = None,
        ending: CanaryEnd | None = None,
    ) -> ChannelRecord:
        """Moves a channel back at once. `expected`: where it must be now, if that matters; `ending`: of a canary, which
        ends by this and not without it. Raises NotFound, and Conflict where there is nothing to go back to."""
        with self._database.write() as connection:
            self._end_canary(connection, ending)
            target = channels.rollback_target(connection, name, channel)
            channels.check_usable(connection, name, target, self._clock())
            if expected is not None:
                channels.check_expected(channels.current(connection, name, channel), expected, name, channel)
            change = ChannelChange(adapter=name, number=target, channel=channel, actor=actor, why=why, kind="rollback")
            return channels.move(connection, change, at=self._clock())

    def check_usable(self, name: str, number: int) -> None:
        """Raises NotFound where there is no such revision, Conflict where it is retired or has expired."""
        with self._database.read() as connection:
            channels.check_usable(connection, name, number, self._clock())

    def _end_canary(self, connection: Connection, ending: CanaryEnd | None) -> None:
        if ending is not None:
            ended(connection, ending, self._clock())

    def rollout(self, rollout: int) -> Rollout:
        """Reads a rollout. Raises NotFound."""
        with self._database.read() as connection:
            return channels.rollout(connection, rollout)

    def rollouts(self, name: str | None = None, *, limit: int = 100) -> tuple[Rollout, ...]:
        """Lists the last rollouts, of one adapter or of all, the newest first."""
        query = select(rollouts).order_by(rollouts.c.id.desc()).limit(limit)
        query = query if name is None else query.where(rollouts.c.adapter == name)
        with self._database.read() as connection:
            return tuple(rollout_of(row) for row in connection.execute(query))

    def history(self, name: str, channel: Channel) -> tuple[Move, ...]:
        """Lists every move of a channel, the oldest first."""
        with self._database.read() as connection:
            return channels.history(connection, name, channel)

    def audit(
        self, *, subject: str | None = None, limit: int = 100, before: int | None = None
    ) -> tuple[AuditEntry, ...]:
        """Lists lines of the audit trail, the newest first.

        `subject`: an adapter or a revision; `limit`: the most lines; `before`: an entry's id.
        """
        with self._database.read() as connection:
            return journal.entries(connection, subject=subject, limit=limit, before=before)

    def record(self, actor: str, action: str, subject: str, details: Mapping[str, Any]) -> None:
        """Adds a line to the audit trail."""
        with self._database.write() as connection:
            journal.note(connection, self._clock(), actor, action, subject, details)

    def retire(self, name: str, number: int, *, actor: str, why: str | None = None) -> Revision:
        """Retires a revision for good. Raises NotFound, and Conflict while a channel means it or a rollout wants it."""
        with self._database.write() as connection:
            return revision_store.retire(connection, name, number, at=self._clock(), actor=actor, why=why)

    def referenced(self) -> frozenset[str]:
        """Lists the SHA-256 of every file that must stay: of revisions and data sets that are not retired, and of
        current pushes."""
        with self._database.read() as connection:
            return _referenced(connection, self._clock())

    def collect(self, candidates: Iterable[str], remove: Callable[[str], None]) -> int:
        """Calls `remove` with each candidate that is not referenced now. Returns their number.

        No candidate can become referenced meanwhile: pushes wait for this transaction.
        """
        with self._database.write() as connection:
            kept = _referenced(connection, self._clock())
            removed = [sha256 for sha256 in candidates if sha256 not in kept]
            for sha256 in removed:
                remove(sha256)
            return len(removed)

    def beat(self, beat: RouterBeat, served: Mapping[str, Any] | None = None) -> None:
        """Notes that a router is alive, and what it serves, as far as canaries go."""
        with self._database.write() as connection:
            fleet.beat(connection, beat, served)

    def routers(self, alive_within_s: float) -> tuple[RouterBeat, ...]:
        """Lists the routers with a heartbeat in the last `alive_within_s` seconds."""
        with self._database.read() as connection:
            return fleet.alive(connection, self._clock() - timedelta(seconds=alive_within_s))

    def served(self, alive_within_s: float) -> Mapping[str, Mapping[str, Any]]:
        """Returns what routers serve, by name, for those with a heartbeat in the last `alive_within_s` seconds that
        have reported it."""
        with self._database.read() as connection:
            return fleet.told_served(connection, self._clock() - timedelta(seconds=alive_within_s))

    def take_lease(self, name: str, holder: str, ttl_s: float) -> bool:
        """Takes or renews the lease called `name` for the next `ttl_s` seconds. Returns whether `holder` has it."""
        with self._database.write() as connection:
            # Not by a clock that began when this was opened: the machine's may have been wrong then, and set since.
            shared = self._database.time_in(connection) or utc_now()
            now = self._clock() if self._has_own_clock else shared
            return fleet.take_lease(connection, name, holder, now, ttl_s)

    def drop_lease(self, name: str, holder: str) -> None:
        """Gives up a lease, where `holder` has it."""
        with self._database.write() as connection:
            fleet.drop_lease(connection, name, holder)

    def put_report(self, report: ReplicaReport) -> None:
        """Replaces the report on a replica."""
        with self._database.write() as connection:
            fleet.put_report(connection, report)

    def reports(self) -> tuple[ReplicaReport, ...]:
        """Lists the reports on all replicas, by name."""
        with self._database.read() as connection:
            return fleet.all_reports(connection)

    def forget_report(self, name: str) -> None:
        """Deletes the report on a replica."""
        with self._database.write() as connection:
            fleet.forget_report(connection, name)

    def add_replica(self, name: str, url: str, *, actor: str) -> ReplicaAddress:
        """Adds the replica at `url` for routers to use, by that name. Raises ConfigError where either is not valid."""
        check_replica_name(name)
        replica = ReplicaAddress(name=name, url=replica_url(url), added_by=actor, added_at=self._clock())
        with self._database.write() as connection:
            fleet.put_replica(connection, replica)
            journal.note(connection, replica.added_at, actor, "replica.add", name, {"url": replica.url})
        return replica

    def remove_replica(self, name: str, *, actor: str) -> ReplicaAddress:
        """Removes a replica, so that routers stop using it, and returns its address. Raises NotFound."""
        with self._database.write() as connection:
            removed = fleet.drop_replica(connection, name)
            journal.note(connection, self._clock(), actor, "replica.remove", name, {"url": removed.url})
        return removed

    def replicas(self) -> tuple[ReplicaAddress, ...]:
        """Lists the replicas that routers use, by name."""
        with self._database.read() as connection:
            return fleet.all_replicas(connection)

    def declared(self, name: str) -> str | None:
        """Reads what a configuration last declared an adapter as, or None."""
        with self._database.read() as connection:
            query = select(adapters.c.declared).where(adapters.c.name == name)
            found: str | None = connection.execute(query).scalar_one_or_none()
            return found

    def set_declared(self, name: str, declared: str) -> None:
        """Records what a configuration has declared an adapter as. Raises NotFound."""
        with self._database.write() as connection:
            revision_store.require(connection, name)
            connection.execute(update(adapters).where(adapters.c.name == name).values(declared=declared))


def _referenced(connection: Connection, now: datetime) -> frozenset[str]:
    kept = connection.execute(select(revisions.c.draft).where(revisions.c.retired_at.is_(None)))
    files = {file["sha256"] for row in kept for file in row.draft["files"]} | dataset_files(connection)
    leased = connection.execute(select(uploads.c.hashes).where(uploads.c.until > now))
    return frozenset(files.union(*(row.hashes for row in leased)))
