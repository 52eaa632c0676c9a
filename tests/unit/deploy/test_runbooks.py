"""Whoever is paged finds a section, and in it commands and addresses that exist."""

import re
import shlex
from typing import Any

import pytest
import yaml
from typer.core import TyperGroup
from typer.main import get_command

from patchbay.command import build_app
from tests.unit.deploy.files import alerts
from tests.unit.deploy.known import OBSERVABILITY, ROOT

PAGE = ROOT / "docs" / "runbooks.md"
ADMIN = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "router" / "admin").glob("*.py"))


def sections() -> dict[str, str]:
    """What the page says under each heading of the third level."""
    parts = re.split(r"^#{2,3} (.*)$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def checks() -> list[dict[str, Any]]:
    """All checks of alerts in promtool's tests."""
    documents = [yaml.safe_load(path.read_text()) for path in OBSERVABILITY.glob("rules*_test.yaml")]
    return [check for one in documents for test in one["tests"] for check in test["alert_rule_test"]]


@pytest.mark.parametrize("name", alerts())
def test_an_alerts_link_leads_nowhere(name: str) -> None:
    page, _, anchor = alerts()[name]["annotations"]["runbook_url"].partition("#")
    assert ROOT / page == PAGE
    assert anchor == name.lower()
    assert name in sections()


@pytest.mark.parametrize("name", alerts())
def test_a_section_does_not_say_what_it_means_how_to_look_or_what_to_do(name: str) -> None:
    assert re.findall(r"\*(Means|Look|Do)\*:", sections()[name]) == ["Means", "Look", "Do"]


def test_a_section_is_about_an_alert_that_is_gone() -> None:
    assert {name for name in sections() if name.startswith("Patchbay")} == set(alerts())


@pytest.mark.parametrize("name", alerts())
def test_an_alert_was_never_seen_to_fire_or_to_stay_silent(name: str) -> None:
    fires = {bool(check["exp_alerts"]) for check in checks() if check["alertname"] == name}
    assert fires == {True, False}


@pytest.mark.parametrize("name", alerts())
def test_nobody_knows_how_urgent_an_alert_is(name: str) -> None:
    assert alerts()[name]["labels"]["severity"] in ("page", "ticket")


def commands() -> list[str]:
    """The commands of ours that the page names."""
    text = PAGE.read_text(encoding="utf-8")
    return sorted(set(re.findall(r"`(patchbay [^`]+)`", text)))


@pytest.mark.parametrize("line", commands())
def test_a_command_of_the_runbooks_does_not_exist(line: str) -> None:
    words = ["1" if word == "ID" else word for word in shlex.split(line)[1:]]
    command = get_command(build_app())
    while isinstance(command, TyperGroup):
        assert words[0] in command.commands, line
        command = command.commands[words.pop(0)]
    # Reads the words as the command line would, and does nothing.
    command.make_context(line, words)


def test_an_address_of_the_runbooks_does_not_exist() -> None:
    named = set(re.findall(r"`(?:GET|POST) (/admin/v1/[\w/]+)", PAGE.read_text(encoding="utf-8")))
    assert named
    assert [path for path in named if f'"{path}"' not in ADMIN] == []


def test_a_setting_that_the_runbooks_would_have_changed_does_not_exist() -> None:
    reference = (ROOT / "docs" / "reference" / "configuration.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:router|engine|lora|registry|canary|base)(?:\.[a-z_]+)+)`", PAGE.read_text()))
    assert named
    assert [name for name in named if f"`{name.rpartition('.')[2]}`" not in reference] == []
