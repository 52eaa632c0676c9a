"""The audit trail, and the generation number by which routers see that something has changed."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select, update

from patchbay.registry.records import AuditEntry
from patchbay.registry.rows import audit_of
from patchbay.registry.schema import audit, state


def generation(connection: Connection) -> int:
    """Reads the registry's generation."""
    return int(connection.execute(select(state.c.generation)).scalar_one())


def installation(connection: Connection) -> str:
    """Reads the registry's own id, made once with its tables, which distinguishes installations."""
    return connection.execute(select(state.c.installation)).scalar_one() or ""


def bump(connection: Connection) -> None:
    """Increments the generation, for a change of what a snapshot holds."""
    connection.execute(update(state).values(generation=state.c.generation + 1))


def note(
    connection: Connection, at: datetime, actor: str, action: str, subject: str, details: Mapping[str, Any]
) -> None:
    """Adds a line to the audit trail. `details`: as JSON; entries that are None are left out."""
    kept = {key: value for key, value in details.items() if value is not None}
    connection.execute(insert(audit).values(at=at, actor=actor, action=action, subject=subject[:128], details=kept))


def entries(connection: Connection, *, subject: str | None, limit: int, before: int | None) -> tuple[AuditEntry, ...]:
    """Lists lines of the audit trail, the newest first.

    `subject`: an adapter, with all of its revisions, or one revision; `limit`: the most lines; `before`: an entry's id.
    """
    query = select(audit).order_by(audit.c.id.desc()).limit(limit)
    if subject is not None:
        query = query.where((audit.c.subject == subject) | audit.c.subject.startswith(f"{subject}@", autoescape=True))
    if before is not None:
        query = query.where(audit.c.id < before)
    return tuple(audit_of(row) for row in connection.execute(query))
