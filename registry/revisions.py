"""The adapters and revisions in the registry's database, within a transaction that the caller has begun."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select, update

from patchbay.core.errors import Conflict, NotFound
from patchbay.core.names import check_name, parse_reference, revision_name
from patchbay.core.nearest import nearest
from patchbay.registry.journal import bump, note
from patchbay.registry.records import UNFINISHED, AdapterSettings, BaseModelRecord, Revision, RevisionDraft
from patchbay.registry.rows import base_of, draft_document, revision_of
from patchbay.registry.schema import adapters, bases, channels, revisions, rollouts


def push(
    connection: Connection, draft: RevisionDraft, *, at: datetime, actor: str, settings: AdapterSettings | None
) -> tuple[Revision, bool]:
    """Adds the revision of `draft`, and returns it and whether it is new.

    The same bytes for the same base are one revision, unless that is retired. `at`: now; `actor`: who pushes;
    `settings`: the adapter's new ones, None to leave them. Raises AdapterError where the name is not valid.
    """
    check_name(draft.adapter)
    known = _find_same(connection, draft)
    if known is not None:
        return known, False
    number = _next_number(connection, draft.adapter, at, settings)
    values: dict[str, Any] = {
        "adapter": draft.adapter,
        "number": number,
        "digest": draft.digest,
        "base": draft.base,
        "draft": draft_document(draft),
        "created_at": at,
        "created_by": actor,
    }
    connection.execute(insert(revisions).values(values))
    details: dict[str, Any] = {"digest": draft.digest, "base": draft.base, "source": draft.provenance.source}
    details |= {"left_out": list(draft.left_out)} if draft.left_out else {}
    details |= {"changes": list(draft.changes)} if draft.changes else {}
    note(connection, at, actor, "push", revision_name(draft.adapter, number), details)
    bump(connection)
    return get(connection, draft.adapter, number), True


def get(connection: Connection, name: str, number: int) -> Revision:
    """Reads a revision. Raises NotFound, with the newest numbers that there are."""
    query = select(revisions).where(revisions.c.adapter == name, revisions.c.number == number)
    row = connection.execute(query).one_or_none()
    if row is None:
        known = [str(revision.number) for revision in all_of(connection, name)]
        newest = ", ".join(known[-5:])
        hint = f"It has {newest}." if newest else None
        raise NotFound(f"{name} has no revision {number}.", param="revision", hint=hint)
    return revision_of(row)


def all_of(connection: Connection, name: str) -> tuple[Revision, ...]:
    """Lists every revision of an adapter, the oldest first. Raises NotFound where there is no such adapter."""
    require(connection, name)
    query = select(revisions).where(revisions.c.adapter == name).order_by(revisions.c.number)
    return tuple(revision_of(row) for row in connection.execute(query))


def require(connection: Connection, name: str) -> None:
    """Raises NotFound, with the nearest name, where there is no adapter called `name`."""
    if connection.execute(select(adapters.c.name).where(adapters.c.name == name)).one_or_none() is None:
        known = [row.name for row in connection.execute(select(adapters.c.name))]
        near = nearest(name[:63], known)
        hint = f"Did you mean '{near}'?" if near is not None else "'patchbay adapters list' shows those that there are."
        raise NotFound(f"There is no adapter '{name[:63]}'.", param="adapter", hint=hint)


def resolve(connection: Connection, text: str) -> Revision:
    """Finds the revision that `sql@3`, `sql@3-1a2b3c4d5e6f` or `sql` names.

    The last means the one in `stable`, else the newest that is not retired. Raises NotFound.
    """
    reference = parse_reference(text)
    if reference is None:
        raise NotFound(f"'{text[:100]}' names no adapter and no revision.", hint="Write it as sql or sql@3.")
    if reference.number is None:
        return _default_revision(connection, reference.name)
    require(connection, reference.name)
    revision = get(connection, reference.name, reference.number)
    if not revision.draft.digest.startswith(reference.digest or ""):
        raise NotFound(f"{revision.name} has the digest {revision.draft.digest[:12]}, not {reference.digest}.")
    return revision


def retire(connection: Connection, name: str, number: int, *, at: datetime, actor: str, why: str | None) -> Revision:
    """Retires a revision; one that is retired stays so.

    Raises NotFound, and Conflict while a channel means it or a rollout is to make one do so.
    """
    require(connection, name)
    revision = get(connection, name, number)
    if revision.retired_at is not None:
        return revision
    _check_unused(connection, revision)
    connection.execute(
        update(revisions).where(revisions.c.adapter == name, revisions.c.number == number).values(retired_at=at)
    )
    connection.execute(
        update(channels).where(channels.c.adapter == name, channels.c.previous == number).values(previous=None)
    )
    note(connection, at, actor, "retire", revision.name, {"why": why})
    bump(connection)
    return get(connection, name, number)


def set_settings(connection: Connection, name: str, settings: AdapterSettings, *, at: datetime, actor: str) -> None:
    """Changes how replicas keep an adapter. Raises NotFound."""
    require(connection, name)
    changed = connection.execute(
        update(adapters)
        .where(adapters.c.name == name, (adapters.c.preload != settings.preload) | (adapters.c.pin != settings.pin))
        .values(preload=settings.preload, pin=settings.pin)
    )
    if changed.rowcount:
        note(connection, at, actor, "set", name, {"preload": settings.preload, "pin": settings.pin})
        bump(connection)


def register_base(connection: Connection, base: BaseModelRecord) -> None:
    """Adds a base model. One that is known keeps its layout where the new record has none."""
    row = connection.execute(select(bases).where(bases.c.fingerprint == base.fingerprint)).one_or_none()
    layout = dict(base.layout) if base.layout is not None else (base_of(row).layout if row else None)
    values = {"name": base.name, "source": base.source, "layout": layout}
    if row is None:
        connection.execute(insert(bases).values(fingerprint=base.fingerprint, **values))
    else:
        connection.execute(update(bases).where(bases.c.fingerprint == base.fingerprint).values(**values))


def _find_same(connection: Connection, draft: RevisionDraft) -> Revision | None:
    query = select(revisions).where(
        revisions.c.adapter == draft.adapter, revisions.c.digest == draft.digest, revisions.c.retired_at.is_(None)
    )
    rows = [row for row in connection.execute(query.order_by(revisions.c.number)) if row.base == draft.base]
    return revision_of(rows[-1]) if rows else None


def _next_number(connection: Connection, name: str, at: datetime, settings: AdapterSettings | None) -> int:
    row = connection.execute(select(adapters).where(adapters.c.name == name)).one_or_none()
    if row is None:
        initial = settings or AdapterSettings()
        values = {"name": name, "next_number": 2, "preload": initial.preload, "pin": initial.pin, "created_at": at}
        connection.execute(insert(adapters).values(values))
        return 1
    connection.execute(update(adapters).where(adapters.c.name == name).values(next_number=row.next_number + 1))
    if settings is not None:
        connection.execute(
            update(adapters).where(adapters.c.name == name).values(preload=settings.preload, pin=settings.pin)
        )
    return int(row.next_number)


def _default_revision(connection: Connection, name: str) -> Revision:
    usable = [revision for revision in all_of(connection, name) if revision.retired_at is None]
    query = select(channels.c.number).where(channels.c.adapter == name, channels.c.channel == "stable")
    stable = connection.execute(query).scalar_one_or_none()
    if stable is not None:
        return get(connection, name, stable)
    if not usable:
        raise NotFound(f"Every revision of {name} is retired.", hint="Push a new one.")
    return usable[-1]


def _check_unused(connection: Connection, revision: Revision) -> None:
    query = select(channels).where(channels.c.adapter == revision.adapter, channels.c.number == revision.number)
    if used := [row.channel for row in connection.execute(query)]:
        raise Conflict(
            f"{revision.name} is what '{used[0]}' means.", hint="Promote another, or clear the channel, and try again."
        )
    wanted = select(rollouts.c.id).where(
        rollouts.c.adapter == revision.adapter,
        rollouts.c.number == revision.number,
        rollouts.c.state.in_(UNFINISHED),
    )
    if connection.execute(wanted).first() is not None:
        raise Conflict(f"{revision.name} is being rolled out.", hint="Wait for its end, or promote another.")
