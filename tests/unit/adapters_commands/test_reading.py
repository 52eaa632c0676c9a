"""Commands that only read run beside whoever writes."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from patchbay.command import build_app
from patchbay.core.tenancy import Limits
from tests.fakes.installation import Installation

READING = [
    "adapters list",
    "adapters show sql",
    "adapters diff sql@1 sql@2",
    "adapters verify sql",
    "adapters audit",
    "adapters recommend",
    "adapters gc --dry-run",
    "adapters pull sql@1 out",
    "tenants list",
    "keys list",
    "usage",
    "replicas list",
    "canary status",
    "canary history sql",
    "registry migrate",
]


@pytest.fixture
def locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A registry with two revisions, in which somebody else has begun to write."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATCHBAY_DATA_DIR", str(tmp_path))
    with Installation.at(tmp_path) as installation:
        installation.push(fill=1)
        installation.push(fill=2)
        installation.registry.accounts.create_tenant("acme", tier="default", limits=Limits(), actor="ml")
    with closing(sqlite3.connect(tmp_path / "registry.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


@pytest.mark.usefixtures("locked")
def test_commands_that_only_read_need_no_write_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    # What needs the lock fails at once, and not after fifteen seconds.
    monkeypatch.setattr("patchbay.registry.database._BUSY_MS", 100)
    app = build_app()
    failed = {
        command: done.output for command in READING if (done := CliRunner().invoke(app, command.split())).exit_code
    }
    assert not failed
