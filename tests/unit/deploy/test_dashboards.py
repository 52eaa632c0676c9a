"""Each dashboard is as Grafana wants it, and as the code that writes it says."""

import re
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from observability.boards import OUTPUT, files
from tests.unit.deploy.files import DASHBOARDS, dashboard, targets

EACH = pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
Json = dict[str, Any]


def overlap(one: Json, other: Json) -> bool:
    """Whether two panels cover the same place."""
    beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
    above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
    return not beside and not above


def test_a_dashboard_was_changed_by_hand_or_not_written_again() -> None:
    assert {path.name: path.read_text() for path in OUTPUT.glob("*.json")} == files(), "run: python -m observability"


def test_grafana_would_take_one_dashboard_for_another() -> None:
    uids = [dashboard(path)["uid"] for path in DASHBOARDS]
    assert len(uids) == len(set(uids)) == 5
    assert all(re.fullmatch(r"[a-z0-9-]{1,40}", uid) for uid in uids)


@EACH
def test_panels_lie_over_each_other_or_beyond_the_edge(path: Path) -> None:
    places = [(panel["title"], panel["gridPos"]) for panel in dashboard(path)["panels"]]
    assert all(place["x"] >= 0 and place["w"] > 0 and place["x"] + place["w"] <= 24 for _, place in places)
    assert [(a, b) for (a, one), (b, other) in combinations(places, 2) if overlap(one, other)] == []


@EACH
def test_a_hole_is_left_between_rows_of_panels(path: Path) -> None:
    places = [panel["gridPos"] for panel in dashboard(path)["panels"]]
    covered = {line for place in places for line in range(place["y"], place["y"] + place["h"])}
    assert covered == set(range(max(covered) + 1))


@EACH
def test_grafana_10_would_have_to_guess_at_a_dashboard(path: Path) -> None:
    board = dashboard(path)
    assert board["schemaVersion"] >= 38
    assert board["title"]
    ids = [panel["id"] for panel in board["panels"]]
    assert len(ids) == len(set(ids))
    assert {panel["type"] for panel in board["panels"]} <= {"row", "text", "stat", "timeseries"}
    for panel in board["panels"]:
        letters = [target["refId"] for target in panel.get("targets", ())]
        assert len(letters) == len(set(letters))
        if panel["type"] in ("stat", "timeseries"):
            assert letters, panel["title"]
            assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}


@EACH
def test_a_panel_does_not_say_in_a_sentence_what_it_shows(path: Path) -> None:
    panels = [panel for panel in dashboard(path)["panels"] if panel["type"] != "row"]
    assert [panel["title"] for panel in panels if not re.fullmatch(r"[A-Z0-9v].{15,}\.", panel["description"])] == []


@EACH
def test_a_variable_is_used_that_the_dashboard_does_not_have_or_has_for_nothing(path: Path) -> None:
    board = dashboard(path)
    variables = {variable["name"] for variable in board["templating"]["list"]}
    asked = " ".join(expression for _, expression, _ in targets(board))
    chosen = " ".join(str(variable.get("definition")) for variable in board["templating"]["list"])
    used = set(re.findall(r"\$(\w+)", asked + chosen)) - {"__rate_interval", "__range"}
    assert used | {"datasource"} == variables
