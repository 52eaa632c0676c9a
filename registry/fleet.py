"""The live state of routers and replicas: heartbeats, leases, addresses and reports.

None of it is history, so none of it is in the audit.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Table, delete, insert, select, update

from patchbay.core.errors import NotFound
from patchbay.registry.records import ReplicaAddress, ReplicaReport, RouterBeat
from patchbay.registry.rows import replica_of, report_document, report_of
from patchbay.registry.schema import leases, replicas, reports, routers

_FORGET_AFTER = timedelta(hours=1)


def beat(connection: Connection, given: RouterBeat, served: Mapping[str, Any] | None) -> None:
    """Notes that a router is alive, and what it serves, and forgets routers that were silent for long."""
    row = connection.execute(select(routers).where(routers.c.name == given.name)).one_or_none()
    since = row.since if row is not None and row.generation == given.generation else None
    values: dict[str, Any] = {"generation": given.generation, "seen_at": given.seen_at}
    values["since"] = since or given.seen_at
    if row is None or row.served != served:
        values["served"] = served
    if _put(connection, routers, given.name, values):
        connection.execute(delete(routers).where(routers.c.seen_at < given.seen_at - _FORGET_AFTER))


def alive(connection: Connection, since: datetime) -> tuple[RouterBeat, ...]:
    """Lists the routers with a heartbeat after `since`, by name."""
    columns = routers.c.name, routers.c.generation, routers.c.seen_at, routers.c.since
    query = select(*columns).where(routers.c.seen_at >= since).order_by(routers.c.name)
    return tuple(RouterBeat(*row) for row in connection.execute(query))


def told_served(connection: Connection, since: datetime) -> Mapping[str, Mapping[str, Any]]:
    """Returns what routers serve, by name, for those with a heartbeat after `since` that have reported it."""
    query = select(routers.c.name, routers.c.served).where(routers.c.seen_at >= since).order_by(routers.c.name)
    return {name: served for name, served in connection.execute(query) if served is not None}


def take_lease(connection: Connection, name: str, holder: str, now: datetime, ttl_s: float) -> bool:
    """Takes or renews a lease for `holder`, for the next `ttl_s` seconds. Returns whether `holder` has it.

    It does where it had the lease, or nobody has it. A lease that ends later than one that is taken now does not count:
    it was taken by a clock that was wrong.
    """
    until = now.timestamp() + ttl_s
    row = connection.execute(select(leases).where(leases.c.name == name)).one_or_none()
    if row is None:
        connection.execute(insert(leases).values(name=name, holder=holder, until=until))
        return True
    if row.holder != holder and now.timestamp() < row.until <= until:
        return False
    connection.execute(update(leases).where(leases.c.name == name).values(holder=holder, until=until))
    return True


def drop_lease(connection: Connection, name: str, holder: str) -> None:
    """Gives up a lease, where `holder` has it."""
    connection.execute(delete(leases).where(leases.c.name == name, leases.c.holder == holder))


def put_report(connection: Connection, report: ReplicaReport) -> None:
    """Replaces the report on a replica."""
    _put(connection, reports, report.name, {"report": report_document(report), "seen_at": report.seen_at})


def all_reports(connection: Connection) -> tuple[ReplicaReport, ...]:
    """Lists the reports on all replicas, by name."""
    return tuple(report_of(row) for row in connection.execute(select(reports).order_by(reports.c.name)))


def forget_report(connection: Connection, name: str) -> None:
    """Deletes the report on a replica."""
    connection.execute(delete(reports).where(reports.c.name == name))


def put_replica(connection: Connection, replica: ReplicaAddress) -> None:
    """Adds a replica, or changes the address of the one with that name."""
    values = {"url": replica.url, "added_by": replica.added_by, "added_at": replica.added_at}
    _put(connection, replicas, replica.name, values)


def drop_replica(connection: Connection, name: str) -> ReplicaAddress:
    """Removes a replica, and returns its address. Raises NotFound."""
    row = connection.execute(select(replicas).where(replicas.c.name == name)).one_or_none()
    if row is None:
        raise NotFound(f"There is no replica called '{name}' in the registry.")
    connection.execute(delete(replicas).where(replicas.c.name == name))
    return replica_of(row)


def all_replicas(connection: Connection) -> tuple[ReplicaAddress, ...]:
    """Lists the addresses of all replicas, by name."""
    rows = connection.execute(select(replicas).order_by(replicas.c.name))
    return tuple(replica_of(row) for row in rows)


def _put(connection: Connection, table: Table, name: str, values: Mapping[str, Any]) -> bool:
    """Gives the row called `name` these values. Returns whether it is a new one."""
    updated = connection.execute(update(table).where(table.c.name == name).values(**values))
    if not updated.rowcount:
        connection.execute(insert(table).values(name=name, **values))
    return not updated.rowcount
