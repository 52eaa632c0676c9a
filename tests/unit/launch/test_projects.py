"""One project, one state: what a project keeps is beside its configuration, and two run at once."""

import os
import socket
import stat
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml
from pydantic import SecretStr
from typer.testing import CliRunner

from patchbay.adapters.config import load_registry_config
from patchbay.command import build_app
from patchbay.core.data_lock import sole_user
from patchbay.core.errors import StartError
from patchbay.launch.config import Overrides, PatchbayConfig, config_of, load_config
from patchbay.launch.free_ports import choose_ports
from patchbay.launch.plan import make_plan, server_configs
from patchbay.launch.run import serve
from patchbay.registry.registry import Registry
from patchbay.router.settings.config_file import load_router_config


@pytest.fixture(autouse=True)
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user who has set nothing, with a home of their own."""
    for name in ("PATCHBAY_DATA_DIR", "PATCHBAY_REGISTRY", "PATCHBAY_ARTIFACTS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _project(folder: Path, **data: object) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "patchbay.yaml").write_text(yaml.safe_dump({"base": "org/base", **data}))
    return folder / "patchbay.yaml"


def _url(config: PatchbayConfig) -> str:
    return config.registry.url.get_secret_value()


def test_what_a_project_keeps_is_beside_its_file_wherever_a_command_runs(user: Path) -> None:
    config = load_config(_project(user / "one"), Overrides())
    home = user / "one" / ".patchbay"
    assert _url(config) == f"sqlite:///{home / 'registry.db'}"
    assert config.registry.artifacts.url == str(home / "artifacts")
    assert config.registry.sources.staging == home / "staging"
    assert config.canary.incidents == home / "incidents"
    assert config.data_dir == home
    (server,) = server_configs(config, SecretStr("t"))
    assert server.cache_dir == home / "cache"
    found, _ = load_registry_config(Path("one/patchbay.yaml"))
    assert found == config.registry


def test_the_file_or_the_environment_may_say_another_place(user: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = _project(user / "one", data_dir="../state", registry={"artifacts": "s3://bucket/all"})
    config = load_config(file, Overrides())
    assert config.data_dir.resolve() == user / "state"
    assert Path(_url(config).removeprefix("sqlite:///")).resolve() == user / "state" / "registry.db"
    assert config.registry.artifacts.url == "s3://bucket/all"
    assert load_registry_config(file)[0] == config.registry
    monkeypatch.setenv("PATCHBAY_DATA_DIR", str(user / "chosen"))
    assert load_config(file, Overrides()).data_dir == user / "chosen"
    assert _url(load_config(file, Overrides())) == f"sqlite:///{user / 'chosen' / 'registry.db'}"


def test_without_a_file_the_working_directory_is_the_project(user: Path) -> None:
    assert _url(config_of({"base": "x"}, Overrides())) == f"sqlite:///{user / '.patchbay' / 'registry.db'}"
    assert load_registry_config(None)[0] == load_config(None, Overrides(base="x")).registry


def test_a_routers_own_file_has_its_state_beside_it(user: Path) -> None:
    file = user / "router.yaml"
    file.write_text(yaml.safe_dump({"replicas": ["http://127.0.0.1:9001"], "registry": {}}))
    config = load_router_config(file, {})
    assert config.registry is not None
    assert config.registry.url.get_secret_value() == f"sqlite:///{user / '.patchbay' / 'registry.db'}"
    assert config.canary.incidents == user / ".patchbay" / "incidents"


def test_relative_paths_are_relative_to_the_file(user: Path) -> None:
    (user / "one").mkdir()
    (user / "one" / "model").mkdir()
    file = _project(
        user / "one",
        base={"model": "model", "chat_template": "chat.jinja"},
        adapters={"hub": "hf://org/name", "sql": "./sql"},
        registry={
            "url": "sqlite:///own.db",
            "artifacts": "store",
            "signing": {"public_keys": ["keys/ml.pem"]},
            "sources": {"staging": "aside"},
        },
        canary={"incidents": "told"},
        router={"guard_cache": "~/compiled"},
    )
    config, here = load_config(file, Overrides()), user / "one"
    assert (config.base.model, config.base.chat_template) == (str(here / "model"), here / "chat.jinja")
    assert [adapter.source for adapter in config.adapters.values()] == ["hf://org/name", str(here / "sql")]
    assert _url(config) == f"sqlite:///{here / 'own.db'}"
    assert config.registry.artifacts.url == str(here / "store")
    assert config.registry.signing.public_keys == (here / "keys" / "ml.pem",)
    assert config.registry.sources.staging == here / "aside"
    assert config.canary.incidents == here / "told"
    assert config.router.guard_cache == Path("~/compiled").expanduser()
    assert load_registry_config(file)[0] == config.registry


def test_two_projects_run_at_once_and_one_project_once(user: Path) -> None:
    one, two = (load_config(_project(user / name), Overrides()) for name in ("one", "two"))
    with sole_user(one.data_dir), sole_user(two.data_dir):
        with pytest.raises(StartError, match=f"process {os.getpid()}"), sole_user(one.data_dir):
            pytest.fail("it had it twice")
        assert _url(one) != _url(two)


def test_only_the_owner_reads_what_a_project_keeps_and_git_leaves_it_alone(user: Path) -> None:
    config = load_config(_project(user / "one"), Overrides())
    old = os.umask(0o022)
    try:
        with sole_user(config.data_dir), Registry.open(_url(config)):
            pass
    finally:
        os.umask(old)
    home = user / "one" / ".patchbay"
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert stat.S_IMODE((home / "registry.db").stat().st_mode) == 0o600
    assert (home / ".gitignore").read_text().endswith("\n*\n")


def test_a_command_in_a_folder_of_no_project_makes_none_there(user: Path) -> None:
    done = CliRunner().invoke(build_app(), ["adapters", "list"])
    assert done.exit_code == 2
    assert "There is no patchbay.yaml" in done.output
    assert "--config FILE" in done.output
    assert list(user.iterdir()) == []


@pytest.fixture
def taken() -> Iterator[list[int]]:
    """Two ports in a row that are taken, the first one first."""
    with ExitStack() as open_sockets:
        for _ in range(50):
            first = open_sockets.enter_context(socket.create_server(("127.0.0.1", 0)))
            port = first.getsockname()[1]
            try:
                open_sockets.enter_context(socket.create_server(("127.0.0.1", port + 1)))
            except OSError:
                continue
            yield [port, port + 1]
            return


def _with_defaults(config: PatchbayConfig, port: int) -> PatchbayConfig:
    """The configuration as if `port` and those after it were the defaults, which nobody has named."""
    router = config.router.model_construct(
        config.router.model_fields_set, **{**dict(config.router), "port": port, "admin_port": port + 1}
    )
    return config.model_copy(update={"router": router})


def test_defaults_that_are_taken_give_way_to_free_ports_and_this_is_said(user: Path, taken: list[int]) -> None:
    config = _with_defaults(config_of({"base": "x"}, Overrides(first_port=9301)), taken[0])
    chosen = choose_ports(config)
    router = chosen.config.router
    assert router.port not in taken
    assert router.admin_port not in {*taken, router.port}
    assert chosen.config.replicas.first_port == 9301
    assert f"port {taken[0]} is taken by " in chosen.notes[0]
    assert f"the port for clients is {router.port}" in chosen.notes[0]
    assert len(chosen.notes) == 2
    plan = make_plan(chosen.config, user)
    assert plan.report.url == f"http://127.0.0.1:{router.port}/v1"


def test_a_port_that_gives_way_takes_no_other_ones_usual_port(user: Path, taken: list[int]) -> None:
    config = _with_defaults(config_of({"base": "x"}, Overrides(first_port=9301)), taken[1])
    router = choose_ports(config).config.router
    assert router.admin_port == config.router.admin_port
    assert router.port not in (taken[1], router.admin_port)


def test_a_port_that_somebody_named_is_never_changed(taken: list[int], capfd: pytest.CaptureFixture[str]) -> None:
    config = config_of({"base": "x"}, Overrides(port=taken[0], admin_port=taken[1], first_port=9301))
    assert choose_ports(config).config == config
    assert serve(config, verbose=False, on_ready=lambda report: None) == 1
    assert f"Port {taken[0]} on 127.0.0.1 is taken" in capfd.readouterr().err


def test_up_takes_the_first_replicas_port(user: Path) -> None:
    config = load_config(_project(user / "one", replicas={"count": 2}), Overrides(first_port=9501))
    assert list(config.replica_ports) == [9501, 9502]
    assert "--first-port" in CliRunner().invoke(build_app(), ["up", "--help"]).output
