"""Every test of the registry runs on both databases: SQLite, and a real PostgreSQL server of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from patchbay.registry.registry import Registry
from tests.fakes.postgres import NO_SERVER, Postgres, running_postgres, server_programs


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    if server_programs() is None:
        pytest.skip(NO_SERVER)
    with running_postgres() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'registry.db'}"
    server: Postgres = request.getfixturevalue("postgres")
    return server.new_database()


@pytest.fixture
def registry(url: str) -> Iterator[Registry]:
    with Registry.open(url) as opened:
        yield opened
