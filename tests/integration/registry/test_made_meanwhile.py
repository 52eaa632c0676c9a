"""A registry that another process is just making is waited for, and not taken for one that was lost."""

import sqlite3
import threading
from pathlib import Path

import pytest

from patchbay.core.errors import RegistryError
from patchbay.registry.database import Database


def opened_in_wal_mode(file: Path) -> sqlite3.Connection:
    """SQLite's own files, as they are before whoever makes the registry has made its tables."""
    connection = sqlite3.connect(file, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE t (x)")
    connection.execute("DROP TABLE t")
    connection.commit()
    return connection


def test_who_sees_the_makers_files_before_its_tables_waits_for_these(tmp_path: Path) -> None:
    file = tmp_path / "registry.db"
    maker = Database(f"sqlite:///{file}")
    held = opened_in_wal_mode(file)
    other = Database(f"sqlite:///{file}")
    looks = threading.Event()
    failures: list[RegistryError] = []

    def wait_for_tables() -> None:
        looks.set()
        try:
            other.migrate()
        except RegistryError as error:
            failures.append(error)

    waiting = threading.Thread(target=wait_for_tables)
    waiting.start()
    looks.wait(10)
    waiting.join(0.3)
    maker.migrate()
    waiting.join(30)
    held.close()
    assert not failures


def test_a_registry_without_tables_that_nobody_makes_is_still_said_to_be_lost(tmp_path: Path) -> None:
    file = tmp_path / "registry.db"
    held = opened_in_wal_mode(file)
    with pytest.raises(RegistryError, match="it has no tables now"):
        Database(f"sqlite:///{file}").migrate()
    held.close()
