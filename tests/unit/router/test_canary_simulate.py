"""`patchbay canary simulate`: what it assumes is what it is told, and it runs what the tables of docs/canary.md run."""

import json

import pytest
from typer.testing import CliRunner

from patchbay.router.canary.plan import ready_plans
from patchbay.router.canary.simulate import Incident, SimulatedWorld, simulate
from patchbay.router.cli.canary import app

ASKED = ("simulate", "--plan", "fast", "--canary", "0.01", "--runs", "1", "--per-second", "3")


def test_a_population_and_a_shared_incident_are_not_what_is_simulated() -> None:
    asked = [*ASKED, "--callers", "20", "--incident", "0.3", "60"]
    [told] = json.loads(CliRunner().invoke(app, [*asked, "--json"]).stdout)
    assert (told["callers"], told["incident"]) == (20, {"from_s": 60.0, "to_s": 120.0, "errors": 0.3})
    world = SimulatedWorld(
        bad={"errors": (0.01, 0.01)}, per_s=3, tick_s=5, callers=20, incident=Incident(from_s=60, to_s=120, errors=0.3)
    )
    again = simulate(ready_plans()["fast"], world, runs=1, seed=1)
    assert (told["promoted"], told["rolled_back"]) == (again.promoted, again.rolled_back)
    assert "20 callers, and 30% of all fail for 60 s" in " ".join(CliRunner().invoke(app, asked).stdout.split())


def test_without_them_each_caller_is_known_or_something_fails_for_all() -> None:
    [told] = json.loads(CliRunner().invoke(app, [*ASKED, "--json"]).stdout)
    assert (told["callers"], told["incident"]) == (None, None)


@pytest.mark.parametrize("incident", [("1.5", "60"), ("nan", "60"), ("0.3", "0"), ("0.3", "inf")])
def test_an_incident_that_is_no_share_or_no_time_is_simulated(incident: tuple[str, str]) -> None:
    result = CliRunner().invoke(app, ["simulate", "--incident", *incident])
    assert result.exit_code == 2
    assert "--incident 0.3 60" in result.stderr
