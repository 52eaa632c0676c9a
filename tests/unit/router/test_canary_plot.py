"""The plot of a canary: axes with numbers, every metric by its name beside a line of its own, nothing over another."""

import xml.etree.ElementTree as ET
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchbay.registry.canary_records import CanaryRecord, CanaryTally, Look
from patchbay.router.canary.evidence_course import Point, course_of
from patchbay.router.canary.incident import markdown, summary
from patchbay.router.canary.judge import PlanPosition
from patchbay.router.canary.ledger import Counts, Ledger
from patchbay.router.canary.phases import verdict_json
from patchbay.router.canary.plan import METRICS, PlanConfig, ready_plans
from patchbay.router.canary.plot import HEIGHT, WIDTH, Scale, curves, plot, spread, ticks
from tests.fakes.canary_records import canary_record

NAMES = (*METRICS, "wins")
NOW = datetime(2026, 1, 1, tzinfo=UTC)
PLAN = ready_plans()["careful"]


def texts(svg: str) -> list[str]:
    return [one.text or "" for one in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]  # noqa: S314 - ours


def lines(svg: str) -> list[dict[str, str]]:
    return [one.attrib for one in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}polyline")]  # noqa: S314 - ours


def point(requests: int, worse: dict[str, float], no_worse: dict[str, float], weight: float = 5) -> Point:
    return Point(requests=requests, weight=weight, worse=worse, no_worse=no_worse, bad=dict.fromkeys(worse, (0, 0)))


shares = st.dictionaries(st.sampled_from(NAMES), st.floats(0, 300), min_size=1)
courses = st.lists(st.tuples(st.integers(1, 2000), shares, shares, st.sampled_from([1.0, 5.0, 50.0])), max_size=12)


def grown(steps: list[tuple[int, dict[str, float], dict[str, float], float]]) -> list[Point]:
    requests, found = 0, []
    for more, worse, no_worse, weight in steps:
        requests += more
        found.append(point(requests, worse, no_worse, weight))
    return found


@given(courses)
def test_whatever_happens_each_metric_is_named_in_each_panel_and_nothing_leaves_the_picture(steps: Any) -> None:
    points = grown(steps)
    svg = plot("Canary 1: a@2 < a@1 & all", points)
    told = " ".join(texts(svg))
    for against in (True, False):
        named = [name for curve in curves(points, against=against) for name in curve.names]
        assert sorted(named) == sorted({n for one in points for n in (one.worse if against else one.no_worse)})
        assert all(name in told for name in named)
    for line in lines(svg):
        for x, y in (pair.split(",") for pair in line["points"].split()):
            assert 0 <= float(x) <= WIDTH
            assert 0 <= float(y) <= HEIGHT
    assert "requests that the canary has answered" in told
    assert told.count("share of what decides") == 2
    assert "rolled back at 100%" in told
    assert "100%" in texts(svg)


def test_all_metrics_can_be_told_apart_by_their_lines() -> None:
    drawn = curves([point(10, {name: 0.1 + place / 10 for place, name in enumerate(NAMES)}, {})], against=True)
    assert len({one.look for one in drawn}) == len({one.look[0] for one in drawn}) == len(NAMES)


def test_metrics_with_the_same_course_share_a_line_that_names_them_all() -> None:
    [line] = curves([point(10, {"empty": 0.5, "errors": 0.5}, {})], against=True)
    assert " ".join(line.label) == "errors, empty 50%"


@given(st.lists(st.tuples(st.floats(0, 200), st.integers(1, 2)), min_size=1, max_size=7))
def test_no_label_lies_over_another(wanted: list[tuple[float, int]]) -> None:
    wanted = sorted(wanted)
    placed = spread(wanted, 0, 260)
    for (y, (_, height)), after in zip(zip(placed, wanted, strict=True), placed[1:], strict=False):
        assert after - y >= 15 * height - 1e-6
    assert placed[0] >= 0
    assert placed[-1] + 15 * wanted[-1][1] <= 260 + 1e-6


@given(st.integers(1, 10**7))
def test_an_axis_has_a_handful_of_round_numbers_from_nothing_on(most: int) -> None:
    found = ticks(most)
    assert found[0] == 0
    assert 2 <= len(found) <= 8
    assert found[-1] <= most
    assert len({b - a for a, b in pairwise(found)}) == 1


@pytest.mark.parametrize("highest", [1.2, 2.9, 40.0, 20_000.0])
def test_what_decides_is_marked_and_seen_however_much_evidence_there_is(highest: float) -> None:
    scale = Scale(100, highest, 0)
    assert 1.0 in scale.marks
    assert scale.y(highest) == pytest.approx(0)
    assert scale.y(1.0) <= 0.9 * scale.y(0.0)


def record(phase: Any, looks: list[Look], plan: PlanConfig = PLAN) -> CanaryRecord:
    told = plan.model_dump(mode="json")
    return canary_record(NOW, plan=told, phase=phase, reason="because", weight=1.0, looks=len(looks), ended_at=NOW)


def judged(*counts: Counts) -> list[Look]:
    ledger, looks = Ledger.opened(PLAN), []
    for number, one in enumerate(counts, 1):
        ledger = ledger.after(PLAN, one)
        verdict = verdict_json(PLAN, ledger, PlanPosition(step=0, began_s=0, step_s=0, samples=0), 60.0)
        looks.append(
            Look(
                canary=1,
                number=number,
                verdict=verdict,
                tallies=(CanaryTally(id=number, canary=1, source="r", counts=one.as_json, at=NOW, look=number),),
                at=NOW,
            )
        )
    return looks


def test_a_promotion_shows_what_speaks_for_it_and_not_one_flat_line() -> None:
    looks = judged(*[Counts(share=0.01, canary=50, other=4950, bad={"errors": (0, 50)}, own={"errors": 0})] * 20)
    svg = plot("a promotion", course_of(record("promoted", looks), looks))
    rising = [line for line in lines(svg) if line["stroke-width"] == "2" and len(line["points"].split()) > 2]
    assert len(rising) >= 2
    assert {"rolled back at 100%", "promoted once all reach 100%"} <= set(texts(svg)), "each panel says what decides"
    assert len({(line["stroke"], line.get("stroke-dasharray")) for line in rising}) == len(rising)


def test_the_summary_has_the_plots_numbers_as_a_table_of_all_metrics() -> None:
    looks = judged(Counts(share=0.01, canary=60, other=5000, bad={"errors": (20, 50)}, own={"errors": 20}))
    one = record("rolled_back", looks)
    text = markdown(summary(one, looks), "evidence.svg", course_of(one, looks))
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert rows[1].startswith("| errors | 20 | 50 | 100% |")
    assert {row.split("|")[1].strip() for row in rows[1:]} == set(METRICS)


def test_a_canary_that_was_never_judged_has_a_plot_that_says_so() -> None:
    one = record("failed", [])
    assert texts(plot("none", course_of(one, []))).count("no request was judged") == 2
    assert "No request was judged." in markdown(summary(one, []), None, ())
