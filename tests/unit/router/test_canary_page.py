"""docs/canary.md: its configuration, its plan and its commands are what the code takes."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from patchbay.core.settings import parse_settings
from patchbay.core.yaml_text import parse_yaml
from patchbay.router.canary.plan import METRICS, PlanConfig, ready_plans
from patchbay.router.cli.canary import app
from patchbay.router.settings.config import RouterConfig

PAGE = (Path(__file__).parents[3] / "docs" / "canary.md").read_text()
BLOCKS = [parse_yaml(text) for text in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)]
COMMANDS = sorted(
    {line.split("#")[0].strip() for line in re.findall(r"^patchbay canary [^`|…\n]+$", PAGE, re.MULTILINE)}
)


def with_key(key: str) -> dict[str, Any]:
    [found] = [block for block in BLOCKS if key in block]
    return dict(found)


def test_its_configuration_is_taken() -> None:
    base = {"replicas": ["http://127.0.0.1:9"], "registry": {}}
    config = parse_settings(RouterConfig, base | with_key("canaries"), source="docs/canary.md")
    assert config.canaries["sql"].plan == ready_plans()["careful"]


def test_its_plan_is_taken() -> None:
    assert parse_settings(PlanConfig, with_key("steps"), source="docs/canary.md").scope.route == "desk"


def test_it_describes_every_metric() -> None:
    table = PAGE.split("## What counts as bad")[1].split("## The evidence")[0]
    described = {
        name for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)
    }
    assert described == set(METRICS)


@pytest.mark.parametrize("line", COMMANDS)
def test_its_commands_are_there_with_their_options(line: str) -> None:
    name, *arguments = shlex.split(line)[2:]
    command = get_command(app).commands[name]  # type: ignore[attr-defined]  # a group, of typer's own class
    command.make_context(name, arguments)
