"""The rules and dashboards in deploy/observability, read."""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.unit.deploy.known import OBSERVABILITY

DASHBOARDS = sorted((OBSERVABILITY / "dashboards").glob("*.json"))


@cache
def rules() -> tuple[dict[str, Any], ...]:
    """Every rule, recording ones and alerts."""
    document = yaml.safe_load((OBSERVABILITY / "rules.yaml").read_text(encoding="utf-8"))
    return tuple(rule for group in document["groups"] for rule in group["rules"])


@cache
def alerts() -> dict[str, dict[str, Any]]:
    """Every alert by its name."""
    return {rule["alert"]: rule for rule in rules() if "alert" in rule}


@cache
def dashboard(path: Path) -> dict[str, Any]:
    """One dashboard."""
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document


def targets(board: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Each query of a dashboard: its panel's title, the expression and the legend."""
    for panel in board["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"], target["legendFormat"]
