"""patchbay.yaml: what it may say, where its paths lead, and what the command line changes."""

from pathlib import Path

import pytest

from patchbay.core.errors import ConfigError
from patchbay.launch.config import Overrides, PatchbayConfig, find_file, load_config
from patchbay.server.config import BaseConfig

_FULL = """
base: {model: ./base, chat_template: chat.jinja}
adapters:
  sql: ./sql
  json: {source: /elsewhere/json, pin: true}
replicas: {count: 2, first_port: 9100}
router: {port: 8000, admin_port: 8001, max_body_bytes: 4096}
restart: {longest_delay_s: 5}
"""


def _load(tmp_path: Path, text: str, overrides: Overrides | None = None) -> PatchbayConfig:
    file = tmp_path / "patchbay.yaml"
    file.write_text(text)
    return load_config(file, overrides or Overrides())


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    config = _load(tmp_path, _FULL)
    assert config.base.model == str(tmp_path / "base")
    assert config.base.chat_template == tmp_path / "chat.jinja"
    assert config.adapters["sql"].source == str(tmp_path / "sql")
    assert config.adapters["json"].source == "/elsewhere/json"
    assert config.adapters["json"].pin
    assert list(config.replica_ports) == [9100, 9101]
    assert config.restart.longest_delay_s == 5


def test_a_model_is_a_hub_id_unless_there_is_such_a_folder(tmp_path: Path) -> None:
    assert _load(tmp_path, "base: {model: org/model}").base.model == "org/model"
    (tmp_path / "org" / "model").mkdir(parents=True)
    assert _load(tmp_path, "base: {model: org/model}").base.model == str(tmp_path / "org" / "model")
    assert _load(tmp_path, "base: org/model").base.model == str(tmp_path / "org" / "model")


def test_the_command_line_goes_before_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    overrides = Overrides("org/other", ("sql=mine", "new=~/x"), replicas=3, port=8010, admin_port=8011)
    config = _load(tmp_path, _FULL, overrides)
    assert config.base.model == "org/other"
    assert config.base.chat_template is None
    assert set(config.adapters) == {"sql", "json", "new"}
    assert config.adapters["sql"].source == str(tmp_path / "mine")
    assert config.adapters["new"].source == str(Path.home() / "x")
    assert (config.replicas.count, config.replicas.first_port) == (3, 9100)
    assert (config.router.port, config.router.admin_port, config.router.max_body_bytes) == (8010, 8011, 4096)


def test_a_base_on_the_command_line_is_enough() -> None:
    config = load_config(None, Overrides(base="org/model"))
    assert config.base == BaseConfig(model="org/model")
    assert config.router == PatchbayConfig.model_validate({"base": "org/model"}).router


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("base: x\nreplica: {}", "unknown key 'replica' (did you mean 'replicas'?)"),
        ("base: x\nrouter: {prot: 1}", "unknown key 'router.prot' (did you mean 'port'?)"),
        ("base: x\nreplicas: {start_timeout: 1}", "did you mean 'start_timeout_s'?"),
        ("base: x\nrouter: {replicas: [http://127.0.0.1:1]}", "set replicas.count"),
        ("base: x\nrouter: {port: 9001}", "line 2, column 10: 'router.port': the replicas use port 9001, too"),
        ("base: x\nrouter: {host: 0.0.0.0}", "api_keys"),
        ("base: x\nreplicas: {first_port: 65535, count: 2}", "above 65535"),
        ("base: x\nreplicas: {drain_timeout_s: 50}", "stop_timeout_s must be at least"),
        ("base: x\nrestart: {first_delay_s: 31}", "longest_delay_s must be at least"),
        ("base: [x]", "'base'"),
        ("base: x\nadapters: [x]", "'adapters'"),
        ("base: x\nadapters: {sql: 3}", "'adapters.sql'"),
        ("{}", "'base': is missing"),
    ],
)
def test_faults_are_named(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        _load(tmp_path, text)
    assert said in str(raised.value)
    assert "patchbay.yaml" in str(raised.value)


@pytest.mark.parametrize("section", ["replicas", "router", "adapters"])
def test_overrides_of_a_section_that_is_no_mapping(section: str, tmp_path: Path) -> None:
    overrides = Overrides(adapters=("a=b",), replicas=2, port=8010)
    with pytest.raises(ConfigError, match=f"'{section}': must be a mapping"):
        _load(tmp_path, f"base: x\n{section}: []", overrides)


@pytest.mark.parametrize("text", ["sql", "=path", "sql="])
def test_an_adapter_needs_a_name_and_a_path(text: str) -> None:
    with pytest.raises(ConfigError, match="NAME=SOURCE"):
        load_config(None, Overrides(base="x", adapters=(text,)))


def test_which_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="--base MODEL"):
        find_file(None, Overrides())
    (tmp_path / "patchbay.yaml").touch()
    assert find_file(None, Overrides()) == Path("patchbay.yaml")
    assert find_file(None, Overrides(base="x")) is None
    assert find_file(Path("other.yaml"), Overrides(base="x")) == Path("other.yaml")
