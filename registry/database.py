"""The connection to the registry's database, SQLite or PostgreSQL: only this module knows which of them it is.

A read sees the state of one moment. Writes run one at a time, on SQLite by its own lock and on PostgreSQL by an
advisory one, so that what a write has read stays true until it ends.
"""

import contextlib
import logging
import os
import sqlite3
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from importlib import resources
from pathlib import Path
from typing import Any

import sqlalchemy
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, event, make_url, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, DatabaseError, DBAPIError, NoSuchModuleError, SQLAlchemyError

from patchbay.core.errors import ConfigError, RegistryError
from patchbay.core.paths import make_private
from patchbay.registry import presence
from patchbay.registry.bounded import AnswerTimeout, connect_bounded
from patchbay.registry.times import as_utc, utc_now

_log = logging.getLogger("patchbay.registry")
_BUSY_MS = 15_000
_LOCK_WAIT_MS = 200
# The key of the advisory lock. Any number that nobody else uses would do: "patchbay" in ASCII, cut to 63 bits.
_WRITE_LOCK = 0x7061746368626179 >> 1
_CONNECT_S = 5
# Looks at a registry that another process may be making, and the time between two.
_MAKING_TRIES = 20
_MAKING_PAUSE_S = 0.1
_DRIVERS = frozenset({"sqlite", "sqlite+pysqlite", "postgresql", "postgresql+psycopg", "postgresql+psycopg2"})
# Enough connections for all threads that may want one at once: else a thread would wait for a slow query of another.
_MAX_OVERFLOW = 24
# The server ends a statement that runs, or waits for a lock, for longer than the first. After the second, this process
# gives up itself: a server that is stopped, or behind a dead network, ends nothing.
_STATEMENT_S, _SILENT_S = 8, 10.0
_SET_TIMEOUT = f"SET LOCAL statement_timeout = '{_STATEMENT_S}s'"
# TCP keep-alive, by which the kernel finds that a server's machine is gone: after 5 s of silence, three probes, each 2
# s apart.
_KEEPALIVE = {"keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3, "tcp_user_timeout": 10_000}


class Database:
    """A pool of connections to the database at `url`. Thread-safe.

    `anew`: whether a new, empty database may be made where there was one before. Raises ConfigError where `url` is not
    a database's URL, RegistryError where the database cannot be reached, or an SQLite file that was there is gone.
    """

    def __init__(self, url: str, *, anew: bool = False) -> None:
        self._url = _parsed(url)
        self._sqlite = self._url.get_backend_name() == "sqlite"
        self._file = _file_of(self._url) if self._sqlite else None
        # Read before anything opens the file, since opening makes it. The process that makes it writes the sign later.
        self._sign = presence.sign_of(self._file) if self._file is not None and not anew else None
        if self._file is not None and self._sign is not None and not self._file.exists():
            raise presence.lost(self._file, self._sign, "it is gone")
        if self._sqlite:
            _make_folder(self._url)
        self._answer_timeout = AnswerTimeout(_BUSY_MS / 1000 if self._sqlite else _SILENT_S)
        self._inode: tuple[int, int] | None = None
        self._engine = _sqlite_engine(self._url) if self._sqlite else _postgres_engine(self._url, self._answer_timeout)

    def migrate(self) -> None:
        """Migrates the tables to this version. Several processes may do so at once.

        Raises RegistryError where the database was made by a newer version.
        """
        config = Config()
        config.set_main_option("script_location", str(resources.files("patchbay.registry") / "migrations"))
        script = ScriptDirectory.from_config(config)
        version = self._version()
        if version is None and self._file is not None and self._sign is not None:
            version = self._made_meanwhile(self._sign)
            if version is None:
                raise presence.lost(self._file, self._sign, "it has no tables")
        if version != script.get_current_head():
            # Not otherwise, so that processes which only read need not wait for the write lock.
            self._upgrade(config)
        if self._file is not None:
            presence.mark(self._file)

    def _made_meanwhile(self, sign: Path) -> str | None:
        """Waits for the tables of a registry that another process may be making right now, whose `sign` this may be.

        SQLite's own files are there before the maker's transaction begins, so one look behind that is not enough.
        """
        tries = _MAKING_TRIES if presence.is_sqlites_own(sign) else 1
        while (version := self._version_behind_writers()) is None and (tries := tries - 1):
            time.sleep(_MAKING_PAUSE_S)
        return version

    def _version_behind_writers(self) -> str | None:
        """Returns what `_version` does, once no other process writes."""
        with self.write() as connection:
            return _version_in(connection)

    def _upgrade(self, config: Config) -> None:
        with self.write() as connection, self._translate_errors():
            config.attributes["connection"] = connection
            try:
                command.upgrade(config, "head")
            except CommandError as error:
                raise RegistryError(
                    f"The registry {self.shown} is of another version than this Patchbay: {error}",
                    hint="Use the version that made it, or a newer one.",
                ) from error

    def _version(self) -> str | None:
        """Returns the migration step that the tables are at, None where there are none."""
        with self.read() as connection:
            return _version_in(connection)

    def time(self) -> datetime:
        """Returns the time by the database's own clock; SQLite's is this machine's. Raises RegistryError."""
        if self._sqlite:
            return utc_now()
        with self.read() as connection:
            return self.time_in(connection) or utc_now()

    def time_in(self, connection: Connection) -> datetime | None:
        """Returns the time by the clock of the database behind `connection`, None where it has none of its own."""
        return None if self._sqlite else as_utc(connection.execute(text("SELECT clock_timestamp()")).scalar_one())

    def hurry(self, within_s: float) -> None:
        """Makes all queries end within `within_s` seconds from now, or fail."""
        self._answer_timeout.hurry(within_s)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Opens a transaction that sees the state of one moment and changes nothing. Raises RegistryError."""
        with self._translate_errors(), self._connected() as connection:
            if not self._sqlite:
                connection.exec_driver_sql(f"SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY; {_SET_TIMEOUT}")
            else:
                connection.exec_driver_sql("BEGIN")
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Opens a transaction beside which no other write runs. Raises RegistryError.

        It takes effect as a whole, or not at all.
        """
        with self._translate_errors(), self._connected() as connection:
            if self._sqlite:
                self._begin_write(connection)
            else:
                connection.exec_driver_sql(_SET_TIMEOUT)
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
    def _connected(self) -> Iterator[Connection]:
        self._check_file()
        with self._engine.connect() as connection:
            if self._file is not None and self._inode is None:
                self._inode = _inode(self._file)
            yield connection

    def _begin_write(self, connection: Connection) -> None:
        """Waits for SQLite's write lock, in steps short enough to notice a `hurry` meanwhile."""
        started_s = time.monotonic()
        connection.exec_driver_sql(f"PRAGMA busy_timeout={_LOCK_WAIT_MS}")
        try:
            while True:
                try:
                    connection.exec_driver_sql("BEGIN IMMEDIATE")
                except DBAPIError as error:
                    if not _is_locked(error) or self._answer_timeout.is_spent(started_s):
                        raise
                else:
                    return
        finally:
            connection.exec_driver_sql(f"PRAGMA busy_timeout={_BUSY_MS}")

    def _check_file(self) -> None:
        """Reopens the SQLite file where another one has taken its place, as after a restore.

        Raises RegistryError where it is gone: opened again, it would be a new, empty one.
        """
        if self._file is None or self._inode is None:
            return
        inode = _inode(self._file)
        if inode is None:
            raise RegistryError(f"The registry's file {self._file} is gone.", hint="Put it back, or restore a backup.")
        if inode != self._inode:
            _log.warning("the registry's file %s is another one than before: it is read from now on", self._file)
            self._engine.dispose()
            self._inode = inode

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        """Translates the database's errors into RegistryError, with the first line: their full text may hold rows."""
        try:
            yield
        except DBAPIError as error:
            if self._sqlite and _is_of_file(error):
                # A connection that saw a damaged file goes on seeing it once the file is whole again.
                self._engine.dispose()
            reason = str(error.orig).strip().splitlines()
            raise RegistryError(
                f"The registry {self.shown} cannot be used: {reason[0] if reason else type(error.orig).__name__}.",
                hint="Check that the database is up and that registry.url is right.",
            ) from error
        except SQLAlchemyError as error:
            raise RegistryError(f"The registry {self.shown} cannot be used: {type(error).__name__}.") from error


def _version_in(connection: Connection) -> str | None:
    """Returns the migration step that the tables are at, None where there are none."""
    if not sqlalchemy.inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
    return found


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
    if parsed.drivername not in _DRIVERS:
        raise ConfigError(
            f"registry.url names the driver '{parsed.drivername.partition('+')[2]}', which is not used here.",
            hint=f"Write it as {backend}://…, without a driver.",
        )
    return parsed.set(drivername="postgresql+psycopg") if backend == "postgresql" else parsed


def check_database(url: str, *, make_folder: bool) -> None:
    """Checks that the database at `url` can be there, without opening it.

    `make_folder`: whether an SQLite file's folder is made where it is missing. Raises ConfigError.
    """
    parsed = _parsed(url)
    if parsed.get_backend_name() == "postgresql":
        _check_psycopg()
        return
    file = _file_of(parsed)
    if file is None:
        raise ConfigError(
            "registry.url is a database in memory, which each process would have for itself.",
            hint="Write it as sqlite:///FILE.",
        )
    folder = file.expanduser().parent
    if file.is_dir():
        raise ConfigError(f"registry.url: {file} is a folder.", hint="Name a file in it, such as registry.db.")
    if not make_folder and not folder.is_dir():
        raise ConfigError(f"registry.url: the folder {folder} is not there.", hint=f"Correct it, or mkdir -p {folder}.")


def _check_psycopg() -> None:
    try:
        import psycopg  # noqa: F401 - the driver, and the library below it, are to be there
    except ImportError as error:
        raise ConfigError(
            f"registry.url is for PostgreSQL, whose driver cannot be imported: {error}",
            hint="Install it: pip install 'psycopg[binary]'.",
        ) from error


def sqlite_file(url: str) -> Path | None:
    """Returns the file of the SQLite database at `url`, None for other databases. Raises ConfigError for no URL."""
    parsed = _parsed(url)
    return _file_of(parsed) if parsed.get_backend_name() == "sqlite" else None


def _file_of(url: URL) -> Path | None:
    return Path(url.database) if url.database and url.database != ":memory:" else None


def _inode(file: Path) -> tuple[int, int] | None:
    """Returns the device and inode, which distinguish a file from another of its name; None where there is no file."""
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _is_locked(error: DBAPIError) -> bool:
    return (
        isinstance(error.orig, sqlite3.OperationalError) and error.orig.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
    )


def _is_of_file(error: DBAPIError) -> bool:
    """Says whether SQLite could not read or write its file, or found no database in it."""
    is_operational = isinstance(error, sqlalchemy.exc.OperationalError)
    return type(error) is DatabaseError or (is_operational and not _is_locked(error))


def _make_folder(url: URL) -> None:
    if url.database and url.database != ":memory:":
        folder = Path(url.database).expanduser().parent
        try:
            make_private(folder)
            _keep_private(Path(url.database).expanduser())
        except OSError as error:
            raise RegistryError(f"Cannot write to {folder}: {error.strerror}.", hint="Set registry.url.") from error


def _keep_private(file: Path) -> None:
    """Makes `file` accessible to its owner only, before SQLite opens it and gives its own files the same mode."""
    if file.exists():
        if stat.S_IMODE(file.stat().st_mode) & 0o077 and file.stat().st_uid == os.geteuid():
            file.chmod(0o600)
        return
    with contextlib.suppress(FileExistsError):
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def _postgres_engine(url: URL, timeout: AnswerTimeout) -> Engine:
    engine = sqlalchemy.create_engine(
        url,
        pool_pre_ping=True,
        pool_size=4,
        max_overflow=_MAX_OVERFLOW,
        pool_timeout=_SILENT_S,
        connect_args={"connect_timeout": _CONNECT_S, **_KEEPALIVE},
    )

    @event.listens_for(engine, "do_connect")
    def connect(_dialect: Any, _record: Any, arguments: Any, named: Any) -> Any:
        return connect_bounded(timeout, *arguments, **named)

    return engine


def _sqlite_engine(url: URL) -> Engine:
    engine = sqlalchemy.create_engine(
        url, max_overflow=_MAX_OVERFLOW, connect_args={"timeout": _BUSY_MS / 1000, "check_same_thread": False}
    )
    file = _file_of(url)

    @event.listens_for(engine, "do_connect")
    def connect(_dialect: Any, _record: Any, _arguments: Any, named: Any) -> Any:
        # Without a mode, SQLite would make a new, empty file where the registry's was moved away a moment ago, and
        # this connection would go on reading that one once the registry's is back.
        return sqlite3.connect(f"{file.absolute().as_uri()}?mode=rw", uri=True, **named) if file is not None else None

    @event.listens_for(engine, "connect")
    def set_up(connection: Any, _record: Any) -> None:
        # We begin all transactions ourselves: the driver would begin them late, and read before it has the lock.
        connection.isolation_level = None
        # What is deleted is overwritten, since it may be what people wrote.
        pragmas = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON")
        for pragma in (*pragmas, f"busy_timeout={_BUSY_MS}"):
            connection.execute(f"PRAGMA {pragma}")

    return engine
