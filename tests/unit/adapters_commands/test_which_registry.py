"""Commands work on the registry that the servers of a file read, or not at all."""

from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from patchbay.adapters.config import has_registry, load_registry_config
from patchbay.command import build_app
from patchbay.router.settings.config_file import load_router_config
from patchbay.router.settings.policy import read_router_file

ROUTER = {
    "replicas": ["http://127.0.0.1:9001"],
    "routes": {"two": "base"},
    "tiers": {"default": {"limits": {"concurrent": 2}}},
}
RUN = CliRunner()


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATCHBAY_DATA_DIR", str(tmp_path / "data"))
    for name in ("PATCHBAY_REGISTRY", "PATCHBAY_ARTIFACTS"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def run(*arguments: str) -> Result:
    return RUN.invoke(build_app(), arguments)


@pytest.mark.parametrize(
    "command",
    [
        "tenants create acme",
        "tenants list",
        "keys create acme --route two",
        "usage",
        "adapters list",
        "replicas add one http://127.0.0.1:9001",
        "registry migrate",
        "backup there",
    ],
)
def test_a_file_whose_router_reads_no_registry_is_refused_with_what_to_write(here: Path, command: str) -> None:
    (here / "r3.yaml").write_text(yaml.safe_dump(ROUTER))
    done = run(*command.split(), "-c", "r3.yaml")
    assert done.exit_code == 2
    assert "registry: {}" in done.output
    assert not (here / "data" / "registry.db").exists()


def test_with_a_registry_written_the_command_and_the_router_mean_the_same(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = here / "r3.yaml"
    for written in ({}, None, {"url": "sqlite:///own.db"}):
        file.write_text(yaml.safe_dump(ROUTER | {"registry": written}))
        config, _ = load_registry_config(file)
        assert load_router_config(file, {}).registry == config
        assert run("tenants", "create", "acme", "-c", "r3.yaml").exit_code in (0, 5)
        read_router_file(file)
    monkeypatch.setenv("PATCHBAY_REGISTRY", f"sqlite:///{here / 'third.db'}")
    registry = load_router_config(file, {}).registry
    assert registry is not None
    assert registry.url.get_secret_value() == f"sqlite:///{here / 'third.db'}"


@pytest.mark.parametrize(
    ("data", "reads"),
    [
        ({}, True),
        ({"base": "m"}, True),
        ({"replicas": {"count": 2}, "routes": {}}, True),
        ({"router": {"port": 1}}, True),
        (ROUTER, False),
        ({"routes": {"a": "b"}, "tiers": {}}, False),
        ({"host": "127.0.0.1", "api_keys": ["k"]}, False),
        (ROUTER | {"registry": None}, True),
    ],
)
def test_only_a_file_of_up_has_a_registry_that_it_does_not_name(data: dict[str, object], reads: bool) -> None:
    assert has_registry(data) is reads
