"""The connection to the registry's database: the one place that knows which database it is.

Reads see one moment. Writes take turns, on SQLite by its own lock and on PostgreSQL by an advisory one, so that what a
write has read stays true until it ends.
"""

import contextlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any

import sqlalchemy
from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, event, make_url, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError

from adapters.errors import ConfigError, RegistryError

_BUSY_MS = 15_000
# Any number that nothing else in the database locks by: "patchbay" in ASCII, cut to 63 bits.
_WRITE_LOCK = 0x7061746368626179 >> 1
_CONNECT_S = 5
# As many as threads may want one at once: who waits for a connection waits for whoever has it, whatever they do.
_MORE = 24


class Database:
    """A pool of connections to the database at `url`. Thread-safe.

    Raises ConfigError where the URL is none, RegistryError where the database cannot be reached.
    """

    def __init__(self, url: str) -> None:
        self._url = _parsed(url)
        self._sqlite = self._url.get_backend_name() == "sqlite"
        if self._sqlite:
            _make_folder(self._url)
        self._engine = _engine(self._url, sqlite=self._sqlite)

    def migrate(self) -> None:
        """Brings the tables to this version's form. Several processes may do so at once; raises RegistryError where the
        database was made by a newer version."""
        config = Config()
        config.set_main_option("script_location", str(resources.files("adapters.registry") / "migrations"))
        with self.write() as connection, self._translated():
            config.attributes["connection"] = connection
            try:
                command.upgrade(config, "head")
            except CommandError as error:
                raise RegistryError(
                    f"The registry {self.shown} is of another version than this Patchbay: {error}",
                    hint="Use the version that made it, or a newer one.",
                ) from error

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that sees one moment and changes nothing. Raises RegistryError."""
        with self._translated(), self._engine.connect() as connection:
            if not self._sqlite:
                connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"))
            else:
                connection.exec_driver_sql("BEGIN")
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that no other write runs beside; it takes effect as a whole, or not at all. Raises
        RegistryError."""
        with self._translated(), self._engine.connect() as connection:
            if self._sqlite:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            else:
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _WRITE_LOCK})
            yield connection
            connection.commit()

    @property
    def shown(self) -> str:
        """The database's URL without its password."""
        return self._url.render_as_string(hide_password=True)

    def close(self) -> None:
        """Closes every connection."""
        self._engine.dispose()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """The seam where the database's errors become ours. Their full text may hold rows, so only its head is told."""
        try:
            yield
        except DBAPIError as error:
            reason = str(error.orig).strip().splitlines()
            raise RegistryError(
                f"The registry {self.shown} cannot be used: {reason[0] if reason else type(error.orig).__name__}.",
                hint="Check that the database is up and that registry.url is right.",
            ) from error
        except SQLAlchemyError as error:
            raise RegistryError(f"The registry {self.shown} cannot be used: {type(error).__name__}.") from error


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
        backend = parsed.get_backend_name()
    except (ArgumentError, NoSuchModuleError, ValueError) as error:
        raise ConfigError(
            "registry.url is no database's URL.", hint="Write it as sqlite:///FILE or postgresql://…"
        ) from error
    if backend not in ("sqlite", "postgresql"):
        raise ConfigError(f"registry.url is for '{backend}'.", hint="Use sqlite:///FILE or postgresql://USER@HOST/DB.")
    return parsed.set(drivername="postgresql+psycopg") if backend == "postgresql" else parsed


def _make_folder(url: URL) -> None:
    if url.database and url.database != ":memory:":
        folder = Path(url.database).expanduser().parent
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            _keep_private(Path(url.database).expanduser())
        except OSError as error:
            raise RegistryError(f"Cannot write to {folder}: {error.strerror}.", hint="Set registry.url.") from error


def _keep_private(file: Path) -> None:
    """Makes `file` its owner's alone before SQLite opens it, whose own files beside it get the same mode."""
    if file.exists():
        if stat.S_IMODE(file.stat().st_mode) & 0o077 and file.stat().st_uid == os.geteuid():
            file.chmod(0o600)
        return
    with contextlib.suppress(FileExistsError):
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def _engine(url: URL, *, sqlite: bool) -> Engine:
    if not sqlite:
        return sqlalchemy.create_engine(
            url, pool_pre_ping=True, pool_size=4, max_overflow=_MORE, connect_args={"connect_timeout": _CONNECT_S}
        )
    engine = sqlalchemy.create_engine(
        url, max_overflow=_MORE, connect_args={"timeout": _BUSY_MS / 1000, "check_same_thread": False}
    )

    @event.listens_for(engine, "connect")
    def set_up(connection: Any, _record: Any) -> None:
        # Transactions are begun by us alone: the driver would begin them late, and read before it has the lock.
        connection.isolation_level = None
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"busy_timeout={_BUSY_MS}"):
            connection.execute(f"PRAGMA {pragma}")

    return engine
