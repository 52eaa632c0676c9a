"""Usage that a router could not write: counted once by the next one, whoever dies at whatever point."""

import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert, select

from patchbay.core.errors import ArtifactError, RegistryError
from patchbay.registry.records import UsageBatch, UsageRow
from patchbay.registry.registry import Registry
from patchbay.registry.schema import batches
from patchbay.registry.spool import Spool, Spooled, spool_of
from patchbay.registry.usage_book import UsageBook
from tests.integration.registry.dying import BATCH


@pytest.fixture(autouse=True)
def own_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATCHBAY_DATA_DIR", str(tmp_path / "data"))


def counted(registry: Registry) -> int:
    return sum(row.requests for row in registry.accounts.usage(since=datetime(2025, 1, 1, tzinfo=UTC)))


def test_usage_in_the_spool_is_counted_once_by_all_routers_together(url: str) -> None:
    spool = spool_of(url)
    with Registry.open(url) as one, Registry.open(url) as other:
        path = UsageBook(one.accounts, spool).keep(BATCH)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        again = path.read_bytes()
        assert UsageBook(one.accounts, spool).take_in() == 1
        assert list(spool.folder.iterdir()) == []
        path.write_bytes(again)  # as where its removal was cut off
        UsageBook(other.accounts, spool).take_in()
        assert counted(one) == 1


def test_a_router_that_is_killed_at_any_durable_step_loses_no_usage_and_none_is_counted_twice(url: str) -> None:
    Registry.open(url).close()
    seen, step, ended = 0, 0, False
    while not ended:
        step += 1
        with Registry.open(url) as registry:
            before = counted(registry)
            _forget(registry)
        command = [sys.executable, "-m", "tests.integration.registry.dying", url, str(step)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        ended = "ended" in done.stdout
        assert ended or done.returncode == -9, done.stderr
        with Registry.open(url) as registry:
            UsageBook(registry.accounts, spool_of(url)).take_in()
            UsageBook(registry.accounts, spool_of(url)).take_in()
            gained = counted(registry) - before
            assert gained == 1 if "kept" in done.stdout else gained <= 1, f"step {step}: {gained}"
            seen += gained
    assert step > 12, "it died at too few points"
    assert seen > 8


def test_a_file_that_is_none_of_ours_is_put_aside_and_keeps_no_other_from_being_counted(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    spool.keep(Spooled(kind="usage", source="b", number=1, content=[]))
    (spool.folder / "usage-a-1.json").write_text('{"kind": "usa')
    found: list[str] = []
    spool.take_in("usage", lambda one: found.append(one.source))
    assert found == ["b"]
    assert [one.name for one in spool.folder.iterdir()] == ["usage-a-1.json.uncounted"]


def test_usage_that_is_no_usage_is_put_aside(url: str) -> None:
    spool = spool_of(url)
    with Registry.open(url) as registry:
        spool.keep(Spooled(kind="usage", source="a", number=1, content=[{"tenant": 3}]))
        UsageBook(registry.accounts, spool).take_in()
    assert [one.name for one in spool.folder.iterdir()] == ["usage-a-1.json.uncounted"]


def test_how_far_sources_have_come_is_forgotten_once_nothing_of_them_can_come_any_more(url: str) -> None:
    with Registry.open(url) as registry:
        _forget(registry)
        for days, source in ((200, "long ago"), (89, "of late")):
            _note(registry, source, registry.clock() - timedelta(days=days))
        registry.accounts.add_usage(UsageBatch("new", 1, ()))
        assert _sources(registry) == {"of late", "new"}


def test_usage_of_which_nobody_knows_whether_it_was_counted_is_put_aside(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    spool = spool_of(url)
    with Registry.open(url) as registry:
        now = registry.clock()
        before = counted(registry)
        book = UsageBook(registry.accounts, spool)
        for number, days in ((1, 91), (2, 89)):
            hour = (now - timedelta(days=days)).replace(minute=0, second=0, microsecond=0)
            book.keep(UsageBatch("old", number, (UsageRow(hour=hour, tenant="t", route="r", model="m", requests=1),)))
        assert book.waiting() == 2
        book.take_in()
        assert (counted(registry) - before, book.waiting()) == (1, 0)
    assert [one.name for one in spool.folder.iterdir()] == ["usage-old-1.json.uncounted"]
    assert "older than 90 days" in caplog.text


def test_what_a_router_of_before_left_with_its_cost_as_a_float_is_counted_in_billionths(url: str) -> None:
    with Registry.open(url) as registry:
        # No other test has used so old an hour, and it is counted still.
        hour = (registry.clock() - timedelta(days=80)).replace(minute=0, second=0, microsecond=0)
        row = {"hour": hour.isoformat(), "tenant": "t", "route": "r", "model": "m", "requests": 2, "cost": 0.1}
        spool_of(url).keep(Spooled(kind="usage", source="before", number=1, content=[row]))
        UsageBook(registry.accounts, spool_of(url)).take_in()
        [counted_row] = [one for one in registry.accounts.usage(since=hour) if one.hour == hour]
    assert (counted_row.requests, counted_row.billionths) == (2, 100_000_000)


def test_a_batch_that_cannot_be_taken_stays(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    spool.keep(Spooled(kind="usage", source="b", number=1, content=[]))

    def refuse(_: Spooled) -> None:
        raise RegistryError("gone")

    with pytest.raises(RegistryError):
        spool.take_in("usage", refuse)
    assert len(list(spool.folder.iterdir())) == 1


def test_a_spool_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("a file")
    with pytest.raises(ArtifactError, match="cannot be written"):
        Spool(tmp_path / "spool").keep(Spooled(kind="usage", source="b", number=1, content=[]))


def _forget(registry: Registry) -> None:
    """Has the one source of all turns be unknown again."""
    with registry._database.write() as connection:  # noqa: SLF001 - no router does so
        connection.exec_driver_sql("DELETE FROM batches")


def _note(registry: Registry, source: str, at: datetime) -> None:
    with registry._database.write() as connection:  # noqa: SLF001 - of another time than now
        connection.execute(insert(batches).values(source=source, number=1, at=at))


def _sources(registry: Registry) -> set[str]:
    with registry._database.read() as connection:  # noqa: SLF001
        return set(connection.execute(select(batches.c.source)).scalars())
