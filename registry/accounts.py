"""The tenants, keys and usage in the registry's database.

Each method is one transaction, and blocks; each raises RegistryError where the database cannot be used.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, Row, func, insert, select, update

from patchbay.core.errors import ConfigError, Conflict, NotFound
from patchbay.core.money import BILLION
from patchbay.core.settings import parse_settings
from patchbay.core.tenancy import TENANT_NAME, Limits, NewKey, new_key
from patchbay.registry import batches, journal
from patchbay.registry.database import Database
from patchbay.registry.records import Access, KeyRecord, Scope, TenantRecord, UsageBatch, UsageRow
from patchbay.registry.schema import keys, tenants, usage


class Accounts:
    """The accounts of one registry: tenants, their API keys, and what they used. `clock`: aware times in UTC."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock

    def create_tenant(self, name: str, *, tier: str, limits: Limits, actor: str) -> TenantRecord:
        """Creates a tenant.

        `tier`: the tier's name; `limits`: the tenant's own; `actor`: the person, for the audit. Raises ConfigError
        where the name is not valid, Conflict where there is such a tenant.
        """
        if not TENANT_NAME.fullmatch(name):
            raise ConfigError(f"'{name[:80]}' is no tenant's name: letters, digits and any of . _ - are, up to 63.")
        created = TenantRecord(name=name, tier=tier, limits=limits, disabled=False, created_at=self._clock())
        with self._database.write() as connection:
            if _tenant(connection, name) is not None:
                raise Conflict(f"There is a tenant called '{name}' already.")
            connection.execute(
                insert(tenants).values(
                    name=name, tier=tier, limits=_dumped(limits), disabled=False, created_at=created.created_at
                )
            )
            self._record_change(connection, actor, "tenant.create", name, {"tier": tier})
        return created

    def set_tenant(
        self,
        name: str,
        *,
        actor: str,
        tier: str | None = None,
        limits: Limits | None = None,
        disabled: bool | None = None,
    ) -> TenantRecord:
        """Changes the settings of a tenant that are not None. Raises NotFound."""
        with self._database.write() as connection:
            _require(connection, name)
            changes = {"tier": tier, "limits": None if limits is None else _dumped(limits), "disabled": disabled}
            values = {key: value for key, value in changes.items() if value is not None}
            if values:
                connection.execute(update(tenants).where(tenants.c.name == name).values(**values))
                self._record_change(connection, actor, "tenant.set", name, values)
            return _require(connection, name)

    def tenants(self) -> tuple[TenantRecord, ...]:
        """Lists every tenant, in the order of names."""
        with self._database.read() as connection:
            return read_access(connection).tenants

    def create_key(
        self, tenant: str, scope: Scope, *, actor: str, note: str = "", ttl: timedelta | None = None
    ) -> tuple[NewKey, KeyRecord]:
        """Creates a key of a tenant, and returns it with its text, which is never shown again.

        `scope`: the routes and adapters that it opens; `ttl`: the time until it expires, None for ever. Raises
        NotFound.
        """
        created, now = new_key(), self._clock()
        expires = now + ttl if ttl else None
        with self._database.write() as connection:
            _require(connection, tenant)
            values = {
                "id": created.id,
                "tenant": tenant,
                "digest": created.digest,
                "note": note,
                "routes": scope.routes,
                "adapters": scope.adapters,
                "created_by": actor,
                "created_at": now,
                "expires_at": expires,
            }
            connection.execute(insert(keys).values(**values))
            self._record_change(connection, actor, "key.create", created.id, {"tenant": tenant})
            return created, _key_of(connection.execute(select(keys).where(keys.c.id == created.id)).one())

    def keys(self, tenant: str | None = None) -> tuple[KeyRecord, ...]:
        """Lists every key, of one tenant or of all, the newest last."""
        query = select(keys).order_by(keys.c.created_at, keys.c.id)
        query = query if tenant is None else query.where(keys.c.tenant == tenant)
        with self._database.read() as connection:
            return tuple(_key_of(row) for row in connection.execute(query))

    def revoke_key(self, key: str, *, actor: str, after: timedelta = timedelta()) -> KeyRecord:
        """Revokes a key, now or `after` a while. Raises NotFound, and Conflict where it was revoked already."""
        now = self._clock()
        with self._database.write() as connection:
            row = connection.execute(select(keys).where(keys.c.id == key)).one_or_none()
            if row is None:
                raise NotFound(f"There is no key '{key[:40]}'.")
            if row.revoked_at is not None:
                raise Conflict(f"The key '{key}' was revoked already.")
            values = {"expires_at": now + after} if after else {"revoked_at": now}
            connection.execute(update(keys).where(keys.c.id == key).values(**values))
            self._record_change(
                connection, actor, "key.revoke", key, {"tenant": row.tenant, "after_s": after.total_seconds()}
            )
            return _key_of(connection.execute(select(keys).where(keys.c.id == key)).one())

    def add_usage(self, batch: UsageBatch) -> bool:
        """Adds a batch to the usage, all of it or nothing, and only once. Returns whether it was new."""
        with self._database.write() as connection:
            if not batches.is_new(connection, batch.source, batch.number, self._clock()):
                return False
            for row in batch.rows:
                _add(connection, row)
            return True

    def add_left_usage(self, batch: UsageBatch) -> bool:
        """Adds a batch that another process left in the spool, as `add_usage` does.

        Raises TooOld where the batch is so old that the registry may have forgotten that it was added before.
        """
        if batches.is_too_old((row.hour.astimezone(UTC) for row in batch.rows), self._clock()):
            raise batches.TooOld(f"it is older than {batches.COUNTED_FOR.days} days and may have been counted")
        return self.add_usage(batch)

    def usage(
        self, *, since: datetime, until: datetime | None = None, tenant: str | None = None
    ) -> tuple[UsageRow, ...]:
        """Lists the usage from the hour of `since` to before `until`, by hour, tenant, route and model.

        `tenant`: only of that one; None for all.
        """
        query = select(usage).where(usage.c.hour >= since.replace(minute=0, second=0, microsecond=0))
        query = query if until is None else query.where(usage.c.hour < until)
        query = query if tenant is None else query.where(usage.c.tenant == tenant)
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(usage.c.hour, usage.c.tenant, usage.c.route, usage.c.model))
            return tuple(_usage_of(row) for row in rows)

    def _record_change(
        self, connection: Connection, actor: str, action: str, subject: str, details: Mapping[str, object]
    ) -> None:
        journal.bump(connection)
        journal.note(connection, self._clock(), actor, action, subject, details)


def read_access(connection: Connection) -> Access:
    """Reads all tenants, by name, and all keys that were not revoked."""
    all_tenants = connection.execute(select(tenants).order_by(tenants.c.name))
    active = connection.execute(select(keys).where(keys.c.revoked_at.is_(None)))
    has_keys = connection.execute(select(keys.c.id).limit(1)).first() is not None
    return Access(tuple(_tenant_of(row) for row in all_tenants), tuple(_key_of(row) for row in active), has_keys)


def _add(connection: Connection, row: UsageRow) -> None:
    counts = {"requests", "failed", "prompt_tokens", "answer_tokens", "billionths"}
    matches_key = (
        (usage.c.hour == row.hour)
        & (usage.c.tenant == row.tenant)
        & (usage.c.route == row.route)
        & (usage.c.model == row.model)
    )
    added = {name: usage.c[name] + getattr(row, name) for name in counts}
    if not connection.execute(update(usage).where(matches_key).values(**added)).rowcount:
        connection.execute(insert(usage).values(**asdict(row), cost=0.0))


def _usage_of(row: Row[tuple[object, ...]]) -> UsageRow:
    """Converts a row, and adds the cost that older routers counted in a float."""
    values = {field.name: getattr(row, field.name) for field in fields(UsageRow)}
    return UsageRow(**values | {"billionths": row.billionths + round(row.cost * BILLION)})


def _tenant(connection: Connection, name: str) -> Row[tuple[object, ...]] | None:
    return connection.execute(select(tenants).where(tenants.c.name == name)).one_or_none()


def _require(connection: Connection, name: str) -> TenantRecord:
    row = _tenant(connection, name)
    if row is None:
        count = connection.execute(select(func.count()).select_from(tenants)).scalar_one()
        raise NotFound(
            f"There is no tenant called '{name[:80]}' (there are {count}).", hint="patchbay tenants create NAME"
        )
    return _tenant_of(row)


def _tenant_of(row: Row[tuple[object, ...]]) -> TenantRecord:
    limits = parse_settings(Limits, row.limits, source=f"the limits of tenant {row.name}")
    return TenantRecord(name=row.name, tier=row.tier, limits=limits, disabled=row.disabled, created_at=row.created_at)


def _key_of(row: Row[tuple[object, ...]]) -> KeyRecord:
    scope = Scope(routes=_names(row.routes), adapters=_names(row.adapters))
    return KeyRecord(
        id=row.id,
        tenant=row.tenant,
        digest=row.digest,
        note=row.note,
        scope=scope,
        created_by=row.created_by,
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
    )


def _names(value: object) -> tuple[str, ...] | None:
    return tuple(str(name) for name in value) if isinstance(value, list) else None


def _dumped(limits: Limits) -> dict[str, object]:
    return {name: value for name, value in limits if value is not None}
