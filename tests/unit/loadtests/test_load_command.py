import importlib.util
import json
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest
from typer.testing import CliRunner

from loadtests.load.driving import drive
from loadtests.load.records import Job
from patchbay.command import build_app
from patchbay.core.errors import ConfigError
from patchbay.load_tests import find_load_tests

SCENARIO = "seconds: 1\narrivals: {per_second: 1}\nrequests: {models: [sql]}\n"


def invoke(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(build_app(), ["load", *arguments])
    return done.exit_code, done.output


@pytest.mark.parametrize("missing", ["locust", "matplotlib", "loadtests"])
def test_what_is_missing_is_said_with_how_to_install_it(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    find: Callable[..., ModuleSpec | None] = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == missing else find(name))
    with pytest.raises(ConfigError, match="make setup"):
        find_load_tests()


def test_load_goes_to_no_other_machine() -> None:
    with pytest.raises(ConfigError, match="not on this machine"):
        drive(Job("http://example.org", (), {}, 1, 1), lambda sent, done: None)
    code, said = invoke("run", "smoke", "--url", "http://example.org")
    assert (code, "not on this machine" in said) == (2, True)


def test_wrong_usage_is_told_from_targets_that_are_missed(tmp_path: Path) -> None:
    broken = tmp_path / "broken.yaml"
    broken.write_text(SCENARIO + "tomorrow: 1\n")
    assert invoke("run", "no-such-scenario")[0] == 2
    assert invoke("run", str(broken))[0] == 2
    assert invoke("run")[0] == 2


def test_a_tenant_without_a_key_is_wrong_usage(tmp_path: Path) -> None:
    file = tmp_path / "tenants.yaml"
    file.write_text("seconds: 1\ntenants: {acme: {arrivals: {per_second: 1}}}\nrequests: {models: [sql]}\n")
    code, said = invoke("run", str(file), "--url", "http://127.0.0.1:1")
    assert (code, "no key of acme" in said) == (2, True)


def test_the_ready_scenarios_are_listed_for_people_and_programs() -> None:
    assert "smoke" in invoke("scenarios")[1]
    assert [one["name"] for one in json.loads(invoke("scenarios", "--json")[1])] == [
        "canary",
        "cold",
        "mixed",
        "smoke",
        "tenants",
    ]


@pytest.mark.parametrize("command", ["run", "scenarios"])
def test_help_shows_an_example(command: str) -> None:
    assert "Example: patchbay load" in " ".join(invoke(command, "--help")[1].split())
