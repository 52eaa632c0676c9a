"""`patchbay demo config` prints a configuration, and makes nothing."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from patchbay.command import build_app
from patchbay.core.yaml_text import parse_yaml
from patchbay.tuning.demo.build import build_demo, shipped_models
from patchbay.tuning.demo.recipe import SHIPPED_SEED
from patchbay.tuning.progress import Silent


def test_the_demos_configuration_is_printed_without_making_its_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATCHBAY_DATA_DIR", str(tmp_path / "data"))
    done = CliRunner().invoke(build_app(), ["demo", "config"])
    assert not (tmp_path / "data").exists()
    assert "`patchbay demo build` puts them there" in done.stderr
    assert parse_yaml(done.stdout)["base"]["model"] == str(shipped_models(tmp_path / "data").base)


def test_the_models_are_where_the_configuration_says(tmp_path: Path) -> None:
    assert build_demo(tmp_path, seed=SHIPPED_SEED, train=False, progress=Silent()) == shipped_models(tmp_path)
