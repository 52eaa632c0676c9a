"""The conversion of the database's rows to records and back."""

import dataclasses
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Row

from patchbay.registry.records import (
    AdapterSettings,
    AuditEntry,
    BaseModelRecord,
    ChannelRecord,
    Move,
    ReplicaAddress,
    ReplicaReport,
    Revision,
    RevisionDraft,
    Rollout,
)

_DRAFT = TypeAdapter(RevisionDraft)
_REPORT = TypeAdapter(ReplicaReport)


def draft_document(draft: RevisionDraft) -> dict[str, Any]:
    """Converts `draft` to JSON."""
    document: dict[str, Any] = _DRAFT.dump_python(plain_record(draft), mode="json")
    return document


def report_document(report: ReplicaReport) -> dict[str, Any]:
    """Converts `report` to JSON."""
    document: dict[str, Any] = _REPORT.dump_python(plain_record(report), mode="json")
    return document


def revision_of(row: Row[Any]) -> Revision:
    """Converts a row of `revisions`."""
    draft = _DRAFT.validate_python(row.draft)
    return Revision(
        number=row.number, draft=draft, created_at=row.created_at, created_by=row.created_by, retired_at=row.retired_at
    )


def report_of(row: Row[Any]) -> ReplicaReport:
    """Converts a row of `reports`."""
    return _REPORT.validate_python(row.report)


def replica_of(row: Row[Any]) -> ReplicaAddress:
    """Converts a row of `replicas`."""
    return ReplicaAddress(name=row.name, url=row.url, added_by=row.added_by, added_at=row.added_at)


def channel_of(row: Row[Any]) -> ChannelRecord:
    """Converts a row of `channels`."""
    return ChannelRecord(
        adapter=row.adapter,
        channel=row.channel,
        number=row.number,
        previous=row.previous,
        version=row.version,
        changed_at=row.changed_at,
    )


def move_of(row: Row[Any]) -> Move:
    """Converts a row of `moves`."""
    return Move(
        id=row.id,
        adapter=row.adapter,
        channel=row.channel,
        kind=row.kind,
        before=row.before,
        after=row.after,
        actor=row.actor,
        why=row.why,
        at=row.at,
    )


def rollout_of(row: Row[Any]) -> Rollout:
    """Converts a row of `rollouts`."""
    names = [field.name for field in dataclasses.fields(Rollout)]
    return Rollout(**{name: getattr(row, name) for name in names})


def audit_of(row: Row[Any]) -> AuditEntry:
    """Converts a row of `audit`."""
    return AuditEntry(
        id=row.id, at=row.at, actor=row.actor, action=row.action, subject=row.subject, details=row.details
    )


def base_of(row: Row[Any]) -> BaseModelRecord:
    """Converts a row of `bases`."""
    return BaseModelRecord(fingerprint=row.fingerprint, name=row.name, source=row.source, layout=row.layout)


def settings_of(row: Row[Any]) -> AdapterSettings:
    """Reads the settings in a row of `adapters`."""
    return AdapterSettings(preload=row.preload, pin=row.pin)


def is_expired(revision: Revision, now: datetime) -> bool:
    """Says whether the revision's own expiry has passed."""
    expires = revision.draft.provenance.expires
    return expires is not None and expires <= now


def plain_record(value: Any) -> Any:
    """Copies a record with its read-only mappings as plain ones, which pydantic can serialize."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: plain_record(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return type(value)(**fields)
    if isinstance(value, tuple):
        return tuple(plain_record(item) for item in value)
    return dict(value) if hasattr(value, "keys") else value
