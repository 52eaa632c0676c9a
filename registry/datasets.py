"""The data sets in the registry's database: immutable, numbered by name, and known by the digest of their rows.

Each method is one transaction, and blocks; each raises RegistryError where the database cannot be used.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Connection, Row, Select, func, insert, select, update

from patchbay.core.errors import ConfigError, NotFound
from patchbay.core.names import check_name, meant, parse_reference, revision_name
from patchbay.registry import journal
from patchbay.registry.database import Database
from patchbay.registry.dataset_records import DatasetDraft, DatasetRecord
from patchbay.registry.rows import plain_record
from patchbay.registry.schema import datasets

_DRAFT = TypeAdapter(DatasetDraft)
# As others write it who name a digest in a manifest.
_PREFIX = "sha256:"


class Datasets:
    """The data sets of one registry. `clock`: aware times in UTC."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock

    def add(self, draft: DatasetDraft, *, actor: str) -> tuple[DatasetRecord, bool]:
        """Adds a data set, and returns it and whether it is new: the same rows in the same splits under the same name
        are one data set, unless that is retired. `actor`: who adds it. Raises AdapterError where the name is not
        valid."""
        check_name(draft.name)
        with self._database.write() as connection:
            same = _of_name(draft.name).where(datasets.c.digest == draft.digest, datasets.c.retired_at.is_(None))
            if (known := connection.execute(same).first()) is not None:
                return _record(known), False
            newest = select(func.max(datasets.c.number)).where(datasets.c.name == draft.name)
            number = (connection.execute(newest).scalar_one() or 0) + 1
            record = DatasetRecord(number=number, draft=draft, created_at=self._clock(), created_by=actor)
            connection.execute(insert(datasets).values(**_values(record)))
            details = {"digest": draft.digest, "rows": draft.rows, "command": draft.command or None}
            journal.note(connection, record.created_at, actor, "data.add", record.name, details)
        return record, True

    def all(self, name: str | None = None) -> tuple[DatasetRecord, ...]:
        """Lists every data set, or those of one name, by name and number. Raises NotFound where there is no such
        name."""
        query = select(datasets) if name is None else _of_name(name)
        with self._database.read() as connection:
            found = tuple(
                _record(row) for row in connection.execute(query.order_by(datasets.c.name, datasets.c.number))
            )
            if name is not None and not found:
                raise _unknown(connection, name)
        return found

    def resolve(self, reference: str) -> DatasetRecord:
        """Finds the data set that `tickets@3` or `tickets` names; the latter is the newest that is not retired. Raises
        ConfigError where it can be no name, and NotFound."""
        parsed = parse_reference(reference)
        if parsed is None or parsed.digest is not None:
            raise ConfigError(f"'{reference[:80]}' is no data set's name.", hint="Write it as NAME or NAME@NUMBER.")
        found = self.all(parsed.name)
        if parsed.number is None:
            return next((record for record in reversed(found) if record.retired_at is None), found[-1])
        for record in found:
            if record.number == parsed.number:
                return record
        numbers = ", ".join(str(record.number) for record in found[-5:])
        raise NotFound(f"There is no data set {reference}.", hint=f"{parsed.name} has {numbers}.")

    def by_digest(self, digest: str) -> DatasetRecord | None:
        """Finds the first data set with this digest, in hex, with or without `sha256:` before it; None if there is
        none."""
        query = select(datasets).where(datasets.c.digest == digest.removeprefix(_PREFIX))
        with self._database.read() as connection:
            row = connection.execute(query.order_by(datasets.c.created_at, datasets.c.name)).first()
        return _record(row) if row is not None else None

    def retire(self, name: str, number: int, *, actor: str, why: str | None = None) -> DatasetRecord:
        """Retires a data set for good: its line stays, its rows go with the next clean-up. Raises NotFound."""
        self.resolve(revision_name(name, number))
        chosen = (datasets.c.name == name) & (datasets.c.number == number)
        with self._database.write() as connection:
            now = self._clock()
            query = update(datasets).where(chosen, datasets.c.retired_at.is_(None)).values(retired_at=now)
            if connection.execute(query).rowcount:
                journal.note(connection, now, actor, "data.retire", revision_name(name, number), {"why": why})
            return _record(connection.execute(select(datasets).where(chosen)).one())


def dataset_files(connection: Connection) -> frozenset[str]:
    """Returns the SHA-256 of every file of a data set that is not retired, within the caller's transaction."""
    kept = connection.execute(select(datasets.c.draft).where(datasets.c.retired_at.is_(None)))
    return frozenset(file["sha256"] for row in kept for file in row.draft["files"])


def _of_name(name: str) -> Select[Any]:
    return select(datasets).where(datasets.c.name == name)


def _values(record: DatasetRecord) -> dict[str, Any]:
    draft = record.draft
    return {
        "name": draft.name,
        "number": record.number,
        "digest": draft.digest,
        "kind": draft.kind,
        "rows": draft.rows,
        "bytes": draft.bytes,
        "draft": _DRAFT.dump_python(plain_record(draft), mode="json"),
        "created_at": record.created_at,
        "created_by": record.created_by,
    }


def _record(row: Row[Any]) -> DatasetRecord:
    return DatasetRecord(
        number=row.number,
        draft=_DRAFT.validate_python(row.draft),
        created_at=row.created_at,
        created_by=row.created_by,
        retired_at=row.retired_at,
    )


def _unknown(connection: Connection, name: str) -> NotFound:
    known = {row.name for row in connection.execute(select(datasets.c.name))}
    return NotFound(f"There is no data set '{name[:63]}' ({meant(name[:63], known)}).")
