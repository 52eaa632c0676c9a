"""The registry's databases as things that break: a file of SQLite, and a database of PostgreSQL."""

import contextlib
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from loadtests.servers import PostgresServer

# Read with every snapshot, and written only by people: nothing of a run is lost with a page of theirs.
_READ_TABLES = ("keys", "tenants", "channels", "adapters", "revisions")
_PARTS = ("", "-wal", "-shm")


class SqliteFile:
    """The registry as a file of SQLite, which can be broken."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "registry.db"
        self._backup = folder / "aside"

    @property
    def url(self) -> str:
        """For the configuration."""
        return f"sqlite:///{self.file}"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """While somebody holds the lock for writing."""
        # Held in one thread, and given up in another.
        opened = sqlite3.connect(self.file, isolation_level=None, timeout=60, check_same_thread=False)
        with closing(opened) as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield
            connection.execute("ROLLBACK")

    @contextmanager
    def unreadable(self) -> Iterator[None]:
        """While a table of every snapshot is not where it is looked for."""
        self._run("ALTER TABLE moves RENAME TO moves_away")
        try:
            yield
        finally:
            self._run("ALTER TABLE moves_away RENAME TO moves")

    @contextmanager
    def damaged(self, table: str) -> Iterator[None]:
        """While the first page of `table` is overwritten; then it is as it was."""
        page, size = self._page_of(table)
        self._run("PRAGMA wal_checkpoint(TRUNCATE)")
        with self.file.open("r+b", buffering=0) as file:
            file.seek((page - 1) * size)
            good = file.read(size)
            file.seek((page - 1) * size)
            file.write(b"\xa5" * size)
            try:
                yield
            finally:
                file.seek((page - 1) * size)
                file.write(good)

    @contextmanager
    def replaced(self, *, by_empty: bool) -> Iterator[None]:
        """While the file is gone, or an empty one is in its place."""
        self._backup.mkdir(exist_ok=True)
        for part in _PARTS:
            self._move(self.file, self._backup / self.file.name, part)
        if by_empty:
            self.file.touch(0o600)
        try:
            yield
        finally:
            for part in _PARTS:
                Path(f"{self.file}{part}").unlink(missing_ok=True)
            for part in reversed(_PARTS):
                self._move(self._backup / self.file.name, self.file, part)

    @staticmethod
    def tables() -> tuple[str, ...]:
        """Those whose pages may be damaged."""
        return _READ_TABLES

    @staticmethod
    def _move(source: Path, target: Path, part: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            Path(f"{source}{part}").rename(f"{target}{part}")

    def _page_of(self, table: str) -> tuple[int, int]:
        with closing(sqlite3.connect(self.file, timeout=60)) as connection:
            query = "SELECT rootpage FROM sqlite_master WHERE type = 'table' AND name = ?"
            return connection.execute(query, (table,)).fetchone()[0], connection.execute("PRAGMA page_size").fetchone()[
                0
            ]

    def _run(self, statement: str) -> None:
        with closing(sqlite3.connect(self.file, isolation_level=None, timeout=60)) as connection:
            connection.execute(statement)


class PostgresDatabase:
    """The registry as a database in a PostgreSQL server of this run, which can be broken."""

    def __init__(self, server: PostgresServer, name: str) -> None:
        self.server = server
        self.name = name
        self.url = server.new_database(name)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """While somebody holds tables of every snapshot, and those that usage is written to, for himself."""
        with self.server.connect(self.name) as connection, connection.transaction():
            connection.execute("LOCK TABLE channels, keys, usage IN ACCESS EXCLUSIVE MODE")
            yield

    @contextmanager
    def unreadable(self) -> Iterator[None]:
        """While a table of every snapshot is not where it is looked for."""
        with self.server.connect(self.name) as connection:
            connection.execute("ALTER TABLE moves RENAME TO moves_away")
        try:
            yield
        finally:
            with self.server.connect(self.name) as connection:
                connection.execute("ALTER TABLE moves_away RENAME TO moves")

    def cut(self) -> int:
        """Ends all connections; how many there were."""
        return self.server.cut(self.name)


Database = SqliteFile | PostgresDatabase
