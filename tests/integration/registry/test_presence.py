"""A registry's file that was there and is gone is never replaced by a new, empty one unasked."""

import itertools
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from patchbay.command import build_app
from patchbay.core.errors import RegistryError
from patchbay.registry.database import Database
from patchbay.registry.registry import Registry
from tests.fakes.installation import Installation


def make(folder: Path) -> Path:
    with Registry.open(f"sqlite:///{folder / 'registry.db'}") as registry:
        registry.add_replica("gpu-1", "http://10.0.0.1:9001", actor="ann")
    return folder / "registry.db"


def test_a_registry_that_was_there_and_is_gone_is_not_made_anew(tmp_path: Path) -> None:
    file = make(tmp_path)
    file.unlink()
    with pytest.raises(RegistryError, match=r"was there before \(registry.db.made is beside it\).*patchbay restore"):
        Registry.open(f"sqlite:///{file}")
    assert not file.exists()


def test_a_registry_of_which_only_artifacts_are_left_is_not_made_anew(tmp_path: Path) -> None:
    with Installation.at(tmp_path) as installation:
        installation.push()
    for path in tmp_path.glob("registry.db*"):
        path.unlink()
    with pytest.raises(RegistryError, match=r"was there before \(\S+artifacts has adapters of it\)"):
        Registry.open(f"sqlite:///{tmp_path / 'registry.db'}")


def test_a_file_that_was_emptied_is_not_filled_with_an_empty_registry(tmp_path: Path) -> None:
    file = make(tmp_path)
    file.write_bytes(b"")
    with pytest.raises(RegistryError, match="has no tables"):
        Registry.open(f"sqlite:///{file}")


def test_a_registry_is_made_anew_where_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATCHBAY_DATA_DIR", str(tmp_path))
    make(tmp_path).unlink()
    listed = CliRunner().invoke(build_app(), ["adapters", "list"])
    assert listed.exit_code == 1
    assert "patchbay registry migrate --new" in listed.output
    assert CliRunner().invoke(build_app(), ["registry", "migrate", "--new"]).exit_code == 0
    assert CliRunner().invoke(build_app(), ["adapters", "list"]).exit_code == 0


def test_a_file_that_is_moved_away_while_others_read_is_never_taken_for_an_empty_one(tmp_path: Path) -> None:
    file, aside = make(tmp_path), tmp_path / "aside.db"
    ended, tries, refusals = threading.Event(), itertools.count(), set[str]()
    with closing(Database(f"sqlite:///{file}")) as database:

        def names() -> list[str]:
            with database.read() as connection:
                return [name for (name,) in connection.exec_driver_sql("SELECT name FROM replicas")]

        def read_on() -> None:
            while not ended.is_set():
                next(tries)
                try:
                    assert names() == ["gpu-1"]
                except RegistryError as error:
                    refusals.add(str(error))

        assert names() == ["gpu-1"]
        with ThreadPoolExecutor(4) as threads:
            reading = [threads.submit(read_on) for _ in range(4)]
            for _ in range(200):
                file.rename(aside)
                database.close()  # So that those who read need new connections.
                more = next(tries) + 50
                while next(tries) < more:
                    time.sleep(0)
                aside.rename(file)
            ended.set()
        assert [task.exception() for task in reading] == [None] * 4
        assert names() == ["gpu-1"]
    assert [text for text in refusals if "no such table" in text] == []
    assert [text for text in refusals if "is gone" in text]
