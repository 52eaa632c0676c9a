"""A router's file means the same wherever the router, or a command that is given it, runs."""

from pathlib import Path

import pytest

from patchbay.adapters.config import load_registry_config
from patchbay.core.errors import ConfigError
from patchbay.router.settings.config_file import load_router_config
from patchbay.router.settings.policy import read_router_file

_FILE = """
replicas: ["http://127.0.0.1:1"]
registry: {url: "sqlite:///registry.db", artifacts: artifacts}
adapters: {sql: ./sql, json: {source: "hf://org/json"}}
"""


def test_the_router_and_the_commands_find_the_same_registry_by_one_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PATCHBAY_REGISTRY", "PATCHBAY_ARTIFACTS"):
        monkeypatch.delenv(name, raising=False)
    file = tmp_path / "router.yaml"
    file.write_text(_FILE)
    config = load_router_config(file, {})
    assert config.registry == load_registry_config(file)[0]
    assert config.registry is not None
    assert config.registry.url.get_secret_value() == f"sqlite:///{tmp_path / 'registry.db'}"
    assert [one.source for one in config.adapters.values()] == [str(tmp_path / "sql"), "hf://org/json"]


def test_a_router_without_a_registry_gets_none_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATCHBAY_REGISTRY", f"sqlite:///{tmp_path / 'registry.db'}")
    file = tmp_path / "router.yaml"
    file.write_text("replicas: ['http://127.0.0.1:1']\n")
    assert load_router_config(file, {}).registry is None


def test_a_file_that_lost_its_replicas_is_not_read_anew_where_no_flag_names_one(tmp_path: Path) -> None:
    file = tmp_path / "router.yaml"
    file.write_text("routes: {a: {model: sql}}\n")
    with pytest.raises(ConfigError, match="no replica"):
        read_router_file(file, {})
    assert read_router_file(file, {"replicas": ["http://127.0.0.1:1"]}).routes["a"].model == "sql"
