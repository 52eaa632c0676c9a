"""`patchbay up` from its command line and configuration, up to where a real engine would begin."""

import asyncio
import os
import signal
import socket
import stat
from pathlib import Path

import psutil
import pytest
import yaml

from patchbay.core.settings import load_yaml, parse_settings
from patchbay.router.settings.config import RouterConfig
from patchbay.server.config import ServerConfig
from tests.fakes.launch_run import Run, free_port

pytestmark = pytest.mark.anyio

_SOURCE = Path(__file__).parents[3] / "src"
_UP = "import sys, typer; from patchbay.launch.commands import up; app = typer.Typer(); app.command()(up); app()"
_SECRETS = ("key-of-a-client", "token-of-an-operator", "token-of-the-replicas")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A patchbay.yaml on free ports, with secrets in it."""
    data = {
        "base": {"model": str(tmp_path), "name": "base"},
        "replicas": {"first_port": free_port(), "token": _SECRETS[2]},
        "router": {
            "port": free_port(),
            "admin_port": free_port(),
            "api_keys": [_SECRETS[0]],
            "admin_token": _SECRETS[1],
        },
    }
    (tmp_path / "config.json").write_text("{}")
    path = tmp_path / "patchbay.yaml"
    path.write_text(yaml.safe_dump(data))
    return path


async def test_the_private_folder_of_a_run(config: Path, tmp_path: Path) -> None:
    async with Run.start(
        ["-m", "tests.fakes.launch_up", str(config), "--json"], PATCHBAY_DATA_DIR=str(tmp_path)
    ) as run:
        await run.event("ready", url=f"http://127.0.0.1:{load_yaml(config)['router']['port']}/v1", needs_key=True)
        (folder,) = (tmp_path / "run").iterdir()
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        files = {file.name: file for file in folder.iterdir()}
        assert {stat.S_IMODE(file.stat().st_mode) for file in files.values()} == {0o600}
        server = parse_settings(ServerConfig, load_yaml(files["replica-0.yaml"]), source="replica")
        router = parse_settings(RouterConfig, load_yaml(files["router.yaml"]), source="router")
        assert server.token is not None
        assert server.token.get_secret_value() == _SECRETS[2]
        assert [key.get_secret_value() for key in router.api_keys] == [_SECRETS[0]]
        assert router.replicas[0].token == server.token
        arguments = [" ".join(one.cmdline()) for one in run.processes()]
        run.up.send_signal(signal.SIGINT)
        assert await run.end() == 0
        assert list((tmp_path / "run").iterdir()) == []
        shown = "\n".join([*run.output, *run.log, *arguments])
        assert not any(secret in shown for secret in _SECRETS)


async def test_a_killed_runs_folder_goes_with_the_next_run(config: Path, tmp_path: Path) -> None:
    argv = ["-m", "tests.fakes.launch_up", str(config), "--json"]
    async with Run.start(argv, PATCHBAY_DATA_DIR=str(tmp_path)) as run:
        await run.event("ready")
        children = [one for one in run.processes() if one.pid != run.up.pid]
        run.up.kill()
        await asyncio.to_thread(psutil.wait_procs, children, timeout=5)
    abandoned = set((tmp_path / "run").iterdir())
    assert len(abandoned) == 1
    async with Run.start(argv, PATCHBAY_DATA_DIR=str(tmp_path)) as run:
        await run.event("ready")
        assert not abandoned & set((tmp_path / "run").iterdir())
        run.up.send_signal(signal.SIGTERM)
        assert await run.end() == 0


@pytest.mark.parametrize(
    ("section", "key", "named"),
    [
        ("router", "port", "--port"),
        ("router", "admin_port", "router.admin_port"),
        ("replicas", "first_port", "replicas.first_port"),
    ],
)
async def test_a_port_that_is_taken(config: Path, section: str, key: str, named: str) -> None:
    port = load_yaml(config)[section][key]
    with socket.create_server(("127.0.0.1", port)):
        async with Run.start(["-c", _UP, "--config", str(config)]) as run:
            assert await run.end() == 1
            error = await run.line("error: ")
            assert f"Port {port} on 127.0.0.1 is taken" in error
            assert f"(pid {os.getpid()})" in error
            assert named in error
            assert run.output == []


async def test_a_base_that_does_not_exist(config: Path, tmp_path: Path) -> None:
    """Nothing is started; the program is ours even where the working directory has one of its name."""
    (tmp_path / "patchbay").mkdir()
    (tmp_path / "patchbay" / "__init__.py").write_text("raise SystemExit('not this one')")
    async with Run.start(
        ["-P", "-c", _UP, "--config", str(config), "--base", "./nothing", "--json"],
        cwd=tmp_path,
        PATCHBAY_DATA_DIR=str(tmp_path / "data"),
        PYTHONPATH=str(_SOURCE),
    ) as run:
        assert await run.end() == 2
        assert f"'base.model': there is no folder {tmp_path}/nothing" in await run.line("error: ")
        assert run.processes() == []
        assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "There is no patchbay.yaml here"),
        (["--base", "x", "--adapter", "sql"], "NAME=SOURCE"),
        (["--config", "nowhere.yaml"], "nowhere.yaml"),
        (["--base", "x", "--port", "9001"], "router.port"),
    ],
)
async def test_usage_errors(arguments: list[str], said: str, tmp_path: Path) -> None:
    async with Run.start(["-c", _UP, *arguments], cwd=tmp_path, PYTHONPATH=str(_SOURCE)) as run:
        assert await run.end() == 2
        assert said in await run.line("error: ")


async def test_help_answers_without_the_heavy_imports() -> None:
    check = f"import sys\ntry:\n exec({_UP!r})\nfinally:\n print({{'pydantic', 'httpx', 'psutil'}} & set(sys.modules))"
    async with Run.start(["-c", check, "--help"]) as run:
        assert await run.end() == 0
        assert await run.line("patchbay up --base Qwen/Qwen3-0.6B --adapter sql=./my-lora")
        assert run.output[-1] == "set()"
