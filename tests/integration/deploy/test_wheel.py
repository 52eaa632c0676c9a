"""The wheel holds `patchbay` and nothing else, and works beside packages and files that are named like our folders."""

import zipfile
from pathlib import Path

import pytest

from tests.fakes.installed import DECOYS, ROOT, Installed, install


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return install(tmp_path_factory.mktemp("installed"))


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """What `pip install patchbay-serve` leaves: no extra."""
    return install(tmp_path_factory.mktemp("bare"), bare=True)


def _members(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}


def test_all_that_is_installed_is_below_patchbay(installed: Installed) -> None:
    assert {name.partition("/")[0] for name in _members(installed.wheel)} == {"patchbay"}


def test_the_wheel_holds_every_file_of_the_packages(installed: Installed) -> None:
    kept = {".py", ".txt", ".mako", ".json", ".safetensors"}
    wanted = {
        f"patchbay/{file.relative_to(ROOT)}"
        for folder in DECOYS
        for file in (ROOT / folder).rglob("*")
        if file.suffix in kept and file.is_file() and "__pycache__" not in file.parts
    }
    assert wanted <= _members(installed.wheel)


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["router", "--help"], ["adapters", "--help"]])
def test_commands_work_beside_another_package_called_adapters(installed: Installed, arguments: list[str]) -> None:
    done = installed.run("-m", "patchbay", *arguments)
    assert done.returncode == 0, done.stderr
    assert "patchbay" in done.stdout.lower()


def test_the_other_package_called_adapters_stays_whole(installed: Installed) -> None:
    said = installed.run(
        "-P", "-c", "import importlib.metadata as m; print(m.version('patchbay-serve')); import adapters"
    )
    origin = installed.run(
        "-P", "-c", "from importlib.util import find_spec; print(find_spec('adapters').origin)"
    ).stdout.strip()
    assert said.stdout.strip() == "0.1.0"
    assert "What an adapter is" not in Path(origin).read_text(encoding="utf-8")


def test_tools_of_the_repository_are_told_where_they_are(installed: Installed) -> None:
    done = installed.run("-m", "patchbay", "load", "scenarios")
    assert done.returncode == 2
    assert "come with Patchbay's repository" in done.stderr
    assert "make setup" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "extra"),
    [
        (["up", "--base", "org/base"], "cpu"),
        (["demo", "up"], "cpu"),
        (["demo", "canary"], "cpu"),
        (["server", "-c", "replica.yaml"], "cpu"),
        (["router", "--replica", "http://127.0.0.1:9"], "router"),
        (["config", "check"], "router"),
        (["config", "schema"], "router"),
        (["route", "eval", "texts.jsonl"], "router"),
        (["guards", "check", "text"], None),
        (["admin", "token"], "router"),
        (["adapters", "merge", "a@1", "b@1", "--name", "c"], None),
        (["demo", "build", "--train"], "train"),
        (["doctor", "--json"], "router"),
    ],
)
def test_without_extras_a_command_says_the_one_that_installs_what_is_missing(
    bare: Installed, arguments: list[str], extra: str | None
) -> None:
    (bare.folder / "patchbay.yaml").write_text("base: org/base\n")
    (bare.folder / "texts.jsonl").write_text('{"text": "a", "route": "b"}\n')
    done = bare.run("-m", "patchbay", *arguments)
    said = done.stdout + done.stderr
    assert "Traceback" not in said
    assert "ModuleNotFoundError" not in said
    assert done.returncode in (1, 2, 4)
    if extra is not None:
        assert f"pip install 'patchbay-serve[{extra}]'" in " ".join(said.split())


@pytest.mark.parametrize("module", ["patchbay.router", "patchbay.server"])
def test_entry_points_of_processes_say_so_too(bare: Installed, module: str) -> None:
    done = bare.run("-m", module, "--config", "none.yaml")
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr


def test_what_needs_no_extra_works_without_one(bare: Installed) -> None:
    new = ["config", "init", "--base", "org/base", "-c", "new/patchbay.yaml"]
    (bare.folder / "new").mkdir()
    for arguments in (["--help"], ["--version"], new, ["adapters", "list", "-c", "new/patchbay.yaml"]):
        done = bare.run("-m", "patchbay", *arguments)
        assert done.returncode == 0, done.stderr
