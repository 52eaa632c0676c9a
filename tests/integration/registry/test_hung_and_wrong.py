"""A database that is stopped, or locked, and machines whose clocks are wrong."""

import os
import signal
import sqlite3
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from loadtests.faults.databases import SqliteFile
from patchbay.core.errors import RegistryError
from patchbay.core.tenancy import Limits
from patchbay.registry.database import Database
from patchbay.registry.records import Scope
from patchbay.registry.registry import Registry
from patchbay.registry.times import SteadyClock
from tests.fakes.drafts import draft
from tests.fakes.postgres import NO_SERVER, running_postgres, server_programs


def test_a_leader_whose_clock_ran_an_hour_ahead_and_died_does_not_keep_others_from_leading(url: str) -> None:
    ahead = datetime.now(UTC) + timedelta(hours=1)
    with Registry.open(url, clock=lambda: ahead) as wrong, Registry.open(url) as right:
        assert wrong.take_lease("reconciler", "dead", 6)
        assert right.take_lease("reconciler", "alive", 6)
        assert not right.take_lease("reconciler", "other", 6)


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_router_that_started_while_its_clock_was_wrong_takes_no_lease_that_another_has(
    url: str, hours: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("patchbay.registry.database.utc_now", lambda: datetime.now(UTC) + timedelta(hours=hours))
        wrong = Registry.open(url)
    with wrong, Registry.open(url) as right:
        assert right.take_lease("reconciler", "right", 60)
        assert not wrong.take_lease("reconciler", "wrong", 60)
        right.drop_lease("reconciler", "right")
        assert wrong.take_lease("reconciler", "wrong", 60)
        assert not right.take_lease("reconciler", "right", 60)


def test_an_hour_that_a_machines_clock_jumps_is_no_hour_of_a_canary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Registry.open(f"sqlite:///{tmp_path / 'registry.db'}") as registry:
        before = registry.clock()
        for name in ("patchbay.registry.database.utc_now", "patchbay.registry.times.utc_now"):
            monkeypatch.setattr(name, lambda: datetime.now(UTC) + timedelta(hours=1))
        assert registry.clock() - before < timedelta(minutes=30)


def test_postgresql_ends_what_takes_too_long_and_the_kernel_finds_a_dead_network(url: str) -> None:
    if not url.startswith("postgresql"):
        pytest.skip("SQLite has no server")
    database = Database(url)
    for opened in (database.read, database.write):
        with opened() as connection:
            assert connection.exec_driver_sql("SHOW statement_timeout").scalar_one() == "8s"
            driver: Any = connection.connection.dbapi_connection
            named = driver.info.get_parameters()
    assert {name: named.get(name) for name in ("connect_timeout", "keepalives_idle", "tcp_user_timeout")} == {
        "connect_timeout": "5",
        "keepalives_idle": "5",
        "tcp_user_timeout": "10000",
    }
    database.close()


def test_a_clock_that_is_set_does_not_move_what_the_registry_goes_by() -> None:
    start, passed = datetime(2026, 1, 1, tzinfo=UTC), [100.0]
    clock = SteadyClock(start, lambda: passed[0])
    passed[0] += 5
    assert clock() == start + timedelta(seconds=5)


def test_what_only_reads_does_not_wait_for_whoever_writes(tmp_path: Path) -> None:
    file = tmp_path / "registry.db"
    Registry.open(f"sqlite:///{file}").close()
    with closing(sqlite3.connect(file, isolation_level=None)) as writer:
        writer.execute("PRAGMA busy_timeout=0")
        writer.execute("BEGIN IMMEDIATE")
        with Registry.open(f"sqlite:///{file}") as registry:
            assert registry.snapshot().adapters == {}
        writer.execute("ROLLBACK")


def test_a_file_that_is_gone_is_said_and_one_that_takes_its_place_is_read(tmp_path: Path) -> None:
    file, other = tmp_path / "registry.db", tmp_path / "other.db"
    with Registry.open(f"sqlite:///{other}") as made:
        made.add_replica("gpu-1", "http://10.0.0.1:9001", actor="ann")
    with Registry.open(f"sqlite:///{file}") as registry:
        assert registry.replicas() == ()
        file.unlink()
        with pytest.raises(RegistryError, match="is gone"):
            registry.replicas()
        assert not file.exists(), "a new, empty registry stands where one was"
        (tmp_path / "registry.db-wal").unlink(missing_ok=True)
        (tmp_path / "registry.db-shm").unlink(missing_ok=True)
        other.rename(file)
        assert [one.name for one in registry.replicas()] == ["gpu-1"]


def test_a_file_that_was_damaged_and_is_whole_again_is_read_by_whoever_saw_the_damage(tmp_path: Path) -> None:
    file = SqliteFile(tmp_path)
    # A table without a row is told by its index.
    with Registry.open(file.url) as filled:
        filled.push(draft(fill=1), actor="ml")
        filled.accounts.create_tenant("acme", tier="default", limits=Limits(), actor="ml")
        filled.accounts.create_key("acme", Scope(), actor="ml")
        before = filled.snapshot()
    for table in file.tables():
        with ExitStack() as opened:
            with file.damaged(table):
                registry = opened.enter_context(Registry.open(file.url))
                with pytest.raises(RegistryError, match="malformed"):
                    registry.snapshot()
            assert registry.snapshot().adapters == before.adapters, table


@pytest.mark.timeout(60)
def test_a_database_that_is_stopped_is_given_up_and_is_used_again_once_it_goes_on() -> None:
    if server_programs() is None:
        pytest.skip(NO_SERVER)
    with running_postgres() as server, Registry.open(server.new_database()) as registry:
        stopped = _processes(server.folder)
        assert stopped
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        try:
            registry.hurry(1)
            with pytest.raises(RegistryError, match=r"said nothing|timeout"):
                registry.generation()
        finally:
            for pid in stopped:
                os.kill(pid, signal.SIGCONT)
        assert registry.generation() >= 0


def _processes(folder: Path) -> list[int]:
    """The server in `folder`, and its children."""
    first = (folder / "data" / "postmaster.pid").read_text().splitlines()[0]
    children = Path(f"/proc/{first}/task/{first}/children").read_text().split()
    return [int(first), *(int(one) for one in children)]
