"""The copying of an SQLite database as a whole, while others write to it, and the checks of a copy.

Source: SQLite's Online Backup API, https://www.sqlite.org/backup.html. Copying the file alone misses what is in the
write-ahead log still.
"""

import hashlib
import json
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from patchbay.core.errors import RegistryError
from patchbay.registry.spool import sync_folder

_PAGES = 256
_SIDE_FILES = ("-wal", "-shm", "-journal")
Tell = Callable[[str], None]


def copy_database(source: Path, target: Path, tell: Tell, *, responses: bool = False) -> None:
    """Copies the database in `source` into the new file `target`, and onto the disk.

    Only this user may read `target`. `tell` is called with how far it is; `responses`: whether what clients had kept is
    copied, too. Raises RegistryError.
    """

    def progress(_status: int, remaining: int, total: int) -> None:
        tell(f"copying the registry: {total - remaining} of {total} pages")

    with translated(source):
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        with closing(_reading(source)) as reader, closing(sqlite3.connect(target)) as writer:
            reader.backup(writer, pages=_PAGES, progress=progress, sleep=0.01)
            # One file, with nothing beside it.
            writer.execute("PRAGMA journal_mode=DELETE")
            if not responses:
                _leave_out_responses(writer)
        with target.open("rb") as file:
            os.fsync(file.fileno())
        sync_folder(target.parent)


@dataclass(frozen=True, slots=True)
class CopyContents:
    """The contents of a checked copy.

    `generation`: the registry's; `tables`: the migration that they are at; `artifacts`: the SHA-256 of every file of a
    revision or data set that is not retired; `responses`: the number of responses that clients had kept.
    """

    generation: int
    tables: str
    artifacts: frozenset[str]
    responses: int


def check_database(file: Path) -> CopyContents:
    """Checks all of the registry in `file`, which nobody writes to.

    Raises RegistryError where it is damaged, or none.
    """
    with translated(file), closing(sqlite3.connect(f"{file.absolute().as_uri()}?immutable=1", uri=True)) as reader:
        faults = [row[0] for row in reader.execute("PRAGMA integrity_check(5)")]
        if faults != ["ok"]:
            raise RegistryError(f"{file} is damaged: {faults[0]}")
        (generation,) = reader.execute("SELECT generation FROM state").fetchone()
        (tables,) = reader.execute("SELECT version_num FROM alembic_version").fetchone()
        artifacts = frozenset(_files_in(reader, "revisions") | _files_in(reader, "datasets"))
        return CopyContents(int(generation), str(tables), artifacts, _responses_in(reader))


def put_database(source: Path, target: Path) -> None:
    """Puts a copy of the single file `source` in the place of the database `target`, by a rename.

    The files that SQLite had beside that are removed before: it would take them for the new one's. Raises
    RegistryError.
    """
    part = target.with_name(f".{target.name}.restoring")
    with translated(target):
        part.unlink(missing_ok=True)
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        part.write_bytes(source.read_bytes())
        with part.open("rb") as file:
            os.fsync(file.fileno())
        _checkpoint(target)
        for suffix in _SIDE_FILES:
            target.with_name(target.name + suffix).unlink(missing_ok=True)
        part.rename(target)
        sync_folder(target.parent)


def sha256_of(file: Path) -> str:
    """Computes the SHA-256 of a file. Raises OSError."""
    with file.open("rb") as reader:
        return hashlib.file_digest(reader, "sha256").hexdigest()


@contextmanager
def translated(file: Path) -> Iterator[None]:
    """The seam where errors of SQLite and the disk become ours."""
    try:
        yield
    except (sqlite3.Error, KeyError, TypeError, ValueError) as error:
        raise RegistryError(f"The registry {file} cannot be read: {error}.") from error
    except OSError as error:
        raise RegistryError(f"{error.filename or file}: {error.strerror}.") from error


def _leave_out_responses(copy: sqlite3.Connection) -> None:
    """Takes out of a copy what people wrote and were answered, with every page that it was on."""
    if _responses_in(copy):
        copy.execute("DELETE FROM responses")
        copy.commit()
        copy.execute("VACUUM")


def _files_in(database: sqlite3.Connection, table: str) -> set[str]:
    """Returns the SHA-256 of the files that a table's lines name, of those that are not retired."""
    if not _has_table(database, table):
        return set()
    drafts = database.execute(f"SELECT draft FROM {table} WHERE retired_at IS NULL")  # noqa: S608 - a name of our own
    return {entry["sha256"] for (draft,) in drafts for entry in json.loads(draft)["files"]}


def _has_table(database: sqlite3.Connection, table: str) -> bool:
    """Whether there is such a table. A registry of an older version does not have all."""
    return database.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)).fetchone() is not None


def _responses_in(database: sqlite3.Connection) -> int:
    """Counts the kept responses."""
    if not _has_table(database, "responses"):
        return 0
    (count,) = database.execute("SELECT count(*) FROM responses").fetchone()
    return int(count)


def _checkpoint(target: Path) -> None:
    """Brings the old database's log into its file, so that it is whole until the very moment of the rename.

    Where the process dies before that, the old database is what it was.
    """
    if not target.exists():
        return
    try:
        with closing(sqlite3.connect(target, timeout=1)) as old:
            old.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.Error:
        # It cannot be read, which is what it is replaced for.
        return


def _reading(source: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True, timeout=15)
