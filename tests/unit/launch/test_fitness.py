"""A configuration that can never work is refused by `up` before it starts anything; what may come yet is a doubt."""

import json
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from patchbay.command import build_app
from patchbay.core.errors import ConfigError
from patchbay.launch.checked import checked, checked_config, is_routers
from patchbay.launch.config import Overrides
from tests.fakes.installation import Installation

pytestmark = pytest.mark.usefixtures("here")


def _write(here: Path, **sections: object) -> Path:
    file = here / "patchbay.yaml"
    file.write_text(yaml.safe_dump({"base": "org/base", **sections}))
    return file


@pytest.mark.skipif(find_spec("vllm") is None, reason="without vLLM that is all that `up` says")
def test_every_fault_is_told_at_once_and_nothing_is_started(here: Path) -> None:
    (here / "patchbay.yaml").write_text(
        "base:\n  model: org/base\n  quantization: int5\n"
        "registry:\n  url: oracle://somewhere/x\n"
        "routes:\n  a:\n    split:\n    - {model: base}\n    - {model: org/base}\n"
        "guards:\n  safe: {kind: llm, model: a/b}\n"
    )
    done = CliRunner().invoke(build_app(), ["up"])
    assert done.exit_code == 2
    told = str(done.exception) if "line" not in done.output else done.output
    for part in ("line 3, column 3: 'base.quantization'", "line 5, column 3: 'registry.url'", "line 10, column 8: "):
        assert part in " ".join(told.split())
    assert not (here / ".patchbay").exists()


def test_a_variable_that_is_at_fault_is_named_instead_of_a_place(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = _write(here)
    monkeypatch.setenv("PATCHBAY_REGISTRY", "oracle://somewhere/x")
    with pytest.raises(ConfigError, match=r"PATCHBAY_REGISTRY: registry\.url is for 'oracle'|no database's URL"):
        checked_config(file, Overrides())


def test_a_folder_that_nobody_made_is_refused_unless_it_is_the_projects_own(here: Path) -> None:
    assert checked_config(_write(here), Overrides()).data_dir == here / ".patchbay"
    file = _write(here, registry={"url": "sqlite:///data/registry.db"})
    with pytest.raises(ConfigError, match=r"the folder .*/data is not there\. Correct it, or mkdir -p"):
        checked_config(file, Overrides())
    (here / "data").mkdir()
    checked_config(file, Overrides())


def test_a_model_that_is_in_the_registry_is_no_doubt_and_one_that_may_come_is_only_that(here: Path) -> None:
    file = _write(here, routes={"one": {"model": "sql"}, "two": {"model": "later"}})
    assert [doubt.partition(":")[0] for doubt in checked(file).doubts] == ["routes.two", "routes.one"]
    (here / ".patchbay").mkdir()
    with Installation.at(here / ".patchbay") as installation:
        installation.push()
    assert [doubt.partition(":")[0] for doubt in checked(file).doubts] == ["routes.two"]


def test_the_doctor_looks_at_a_file_as_config_check_does(here: Path) -> None:
    _write(here, routes={"one": {"model": "sql"}})
    looked = CliRunner().invoke(build_app(), ["doctor", "--url", "http://127.0.0.1:9", "--json"])
    assert "nothing is called 'sql'" in looked.output
    _write(here, base={"model": "org/base", "quantization": "int5"})
    looked = CliRunner().invoke(build_app(), ["doctor", "--url", "http://127.0.0.1:9", "--json"])
    assert looked.exit_code == 1
    assert "vLLM has no quantization 'int5'" in looked.output


def test_the_doctor_knows_a_routers_own_file_and_checks_what_applies(here: Path) -> None:
    file = here / "router.yaml"
    file.write_text("replicas: ['http://127.0.0.1:9']\nport: 9\nadmin_port: 10\n")
    looked = CliRunner().invoke(build_app(), ["doctor", "-c", str(file), "--json"])
    found = {one["what"]: (one["state"], one["says"]) for one in json.loads(looked.output)}
    assert found["configuration"] == ("ok", f"{file} is a file of `patchbay router`, and fit to start")
    assert found["registry"][0] == "ok"
    file.write_text("replicas: ['http://127.0.0.1:9']\nprot: 9\n")
    assert "did you mean 'port'?" in CliRunner().invoke(build_app(), ["doctor", "-c", str(file), "--json"]).output
    assert CliRunner().invoke(build_app(), ["config", "check", "-c", str(file)]).exit_code == 2


@pytest.mark.parametrize(
    ("text", "routers"),
    [
        ("replicas: [http://h:1]", True),
        ("port: 80", True),
        ("replicas: {count: 2}\nport: 80", False),
        ("base: x", False),
        ("routes: {}", False),
        ("", False),
    ],
)
def test_a_files_kind_is_told_by_its_keys(here: Path, text: str, routers: bool) -> None:
    (here / "file.yaml").write_text(text)
    assert is_routers(here / "file.yaml") is routers
