"""The tables of the simulated fleet, and where they go."""

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from loadtests.scale.control import Plane, demand, writer_share
from loadtests.scale.costs import Operations
from loadtests.scale.fit import SHIPPED, read_fit
from loadtests.scale.report import Simulated, simulated_tables, write_tables
from loadtests.scale.scenarios import plan_of
from loadtests.scale.work import Progress, measure, simulate

PAGE = Path(__file__).parent.parent.parent.parent / "docs" / "scale.md"
COST = Operations(10, 2, 1, 1, 1, 1, 0.1, 50)


def quick(seed: int) -> Simulated:
    plan = plan_of("quick", read_fit(SHIPPED))
    with ThreadPoolExecutor(1) as pool:
        return simulate(plan, seed, pool, Progress(lambda count: None, lambda name: None))


@pytest.fixture(scope="module")
def simulated() -> Simulated:
    return quick(1)


def test_the_quick_tables_are_the_same_for_the_same_seed_and_others_for_another(simulated: Simulated) -> None:
    assert simulated_tables(quick(1)) == simulated_tables(simulated)
    assert simulated_tables(quick(2)) != simulated_tables(simulated)


def test_every_policy_is_compared_on_the_same_requests(simulated: Simulated) -> None:
    for rows in simulated.groups.values():
        by_scenario: dict[str, set[int]] = {}
        for one in rows:
            by_scenario.setdefault(one.scenario, set()).add(one.requests)
        assert all(len(counts) == 1 for counts in by_scenario.values())


def test_a_decision_costs_something_at_every_size() -> None:
    found = measure(replace(plan_of("quick", read_fit(SHIPPED)), counts=(10,), rounds=2))
    assert all(min(one.pick_us, one.fits_us, one.next_us) > 0 for one in found.decisions)
    assert min(found.operations.look_ms, found.operations.beat_ms, found.operations.snapshot_us) > 0


def test_tables_are_put_between_their_marks_and_nothing_else_is_touched(tmp_path: Path) -> None:
    page = tmp_path / "scale.md"
    page.write_text("before\n<!-- growth -->\nold\n<!-- /growth -->\nafter\n")
    write_tables(page, {"growth": "| new |\n", "other": "| none |\n"})
    assert page.read_text() == "before\n<!-- growth -->\n\n| new |\n\n<!-- /growth -->\nafter\n"


def test_the_page_has_a_place_for_every_table_that_is_made(simulated: Simulated) -> None:
    marks = set(re.findall(r"<!-- (\w+) -->", PAGE.read_text()))
    assert marks == {*simulated_tables(simulated), "adapters", "routers", "decisions", "operations", "control"}


def test_twice_the_routers_and_replicas_ask_twice_as_much_of_the_registry_but_for_looks_and_the_lease() -> None:
    one, two = demand(Plane(10, 100, 5)), demand(Plane(20, 200, 5))
    assert (two.watches, two.tallies, two.reports) == (2 * one.watches, 2 * one.tallies, 2 * one.reports)
    assert two.looks == one.looks
    assert two.statuses == 4 * one.statuses
    assert writer_share(two, COST) > writer_share(one, COST)
