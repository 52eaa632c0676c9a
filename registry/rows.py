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
    document: dict[str, Any] = _DRAFT.dump_python(_plain(draft), mode="json")
    return document


def report_document(report: ReplicaReport) -> dict[str, Any]:
    """Converts `report` to JSON."""
    document: dict[str, Any] = _REPORT.dump_python(_plain(report), mode="json")
    return document


def revision_of(row: Row[Any]) -> Revision:
    """Converts a row of `revisions`."""
    draft = _DRAFT.validate_python(row.draft)
    return Revision(row.number, draft, row.created_at, row.created_by, row.retired_at)


def report_of(row: Row[Any]) -> ReplicaReport:
    """Converts a row of `reports`."""
    return _REPORT.validate_python(row.report)


def replica_of(row: Row[Any]) -> ReplicaAddress:
    """Converts a row of `replicas`."""
    return ReplicaAddress(row.name, row.url, row.added_by, row.added_at)


def channel_of(row: Row[Any]) -> ChannelRecord:
    """Converts a row of `channels`."""
    return ChannelRecord(row.adapter, row.channel, row.number, row.previous, row.version, row.changed_at)


def move_of(row: Row[Any]) -> Move:
    """Converts a row of `moves`."""
    return Move(row.id, row.adapter, row.channel, row.kind, row.before, row.after, row.actor, row.why, row.at)


def rollout_of(row: Row[Any]) -> Rollout:
    """Converts a row of `rollouts`."""
    names = [field.name for field in dataclasses.fields(Rollout)]
    return Rollout(**{name: getattr(row, name) for name in names})


def audit_of(row: Row[Any]) -> AuditEntry:
    """Converts a row of `audit`."""
    return AuditEntry(row.id, row.at, row.actor, row.action, row.subject, row.details)


def base_of(row: Row[Any]) -> BaseModelRecord:
    """Converts a row of `bases`."""
    return BaseModelRecord(row.fingerprint, row.name, row.source, row.layout)


def settings_of(row: Row[Any]) -> AdapterSettings:
    """Reads the settings in a row of `adapters`."""
    return AdapterSettings(preload=row.preload, pin=row.pin)


def is_expired(revision: Revision, now: datetime) -> bool:
    """Says whether the revision's own expiry has passed."""
    expires = revision.draft.provenance.expires
    return expires is not None and expires <= now


def _plain(value: Any) -> Any:
    """Copies a record with its read-only mappings as plain ones, which pydantic can serialize."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return type(value)(**fields)
    if isinstance(value, tuple):
        return tuple(_plain(item) for item in value)
    return dict(value) if hasattr(value, "keys") else value
