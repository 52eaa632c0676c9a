import stat
from pathlib import Path

import pytest

from patchbay.core.errors import StartError
from patchbay.core.settings import load_yaml, parse_settings
from patchbay.launch.rundir import run_directory, write_settings
from patchbay.router.settings.config import RouterConfig


def test_it_is_private_and_goes_in_the_end(tmp_path: Path) -> None:
    parent = tmp_path / "run"
    with run_directory(parent) as folder:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert stat.S_IMODE(parent.stat().st_mode) == 0o700
    assert list(parent.iterdir()) == []


def test_it_goes_after_an_error_too(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), run_directory(tmp_path):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_folders_of_living_runs_stay(tmp_path: Path) -> None:
    with run_directory(tmp_path) as first, run_directory(tmp_path) as second:
        assert first.exists()
        assert second.exists()


def test_a_parent_that_cannot_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StartError, match="PATCHBAY_DATA_DIR"), run_directory(tmp_path / "file"):
        pass


def test_a_guard_with_a_schema_is_read_back_by_the_router_that_is_started_with_it(tmp_path: Path) -> None:
    guards = {"form": {"kind": "schema", "action": "flag", "schema": {"type": "object"}}}
    config = RouterConfig.model_validate({"guards": guards, "replicas": [{"url": "http://127.0.0.1:9001"}]})
    path = write_settings(config, tmp_path / "router.yaml")
    assert parse_settings(RouterConfig, load_yaml(path), source="test") == config
