"""Reports of canaries, word for word: the summary, the status, the files, and the lookup of plans by name."""

import json
import math
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from patchbay.core.errors import ConfigError
from patchbay.registry.canary_records import CanaryPhase, CanaryTally, Look
from patchbay.router.canary.evidence_course import Point, course_of
from patchbay.router.canary.incident import markdown, summary, title
from patchbay.router.canary.judge import PlanPosition, to_show
from patchbay.router.canary.ledger import CallersSeen, Counts, Ledger
from patchbay.router.canary.named_plans import named_plan
from patchbay.router.canary.phases import no_worse_of, verdict_json, with_tallies
from patchbay.router.canary.plan import PlanConfig, ready_plans
from patchbay.router.canary.plot import plot
from patchbay.router.canary.replay import replayed
from patchbay.router.canary.report_files import write_incident
from patchbay.router.canary.status import standing
from tests.unit.router.canary.build import NOON, NOON_S, PLAN, counted, ledger, place, planned, record


def looks(*counts: Counts, plan: PlanConfig = PLAN, at: PlanPosition | None = None) -> list[Look]:
    """Looks at which these were judged."""
    known, made = Ledger.opened(plan), []
    for number, one in enumerate(counts, 1):
        tallies = (CanaryTally(id=number, canary=7, source="r", counts=one.as_json, at=NOON, look=number),)
        known = with_tallies(plan, known, tallies)
        verdict = verdict_json(plan, known, at or place(), NOON_S + 10)
        made.append(Look(canary=7, number=number, verdict=verdict, tallies=tallies, at=NOON))
    return made


def waiting(number: int = 9) -> Look:
    """A look at which nothing was judged."""
    return Look(canary=7, number=number, verdict={"kind": "blind", "reason": "no data"}, tallies=(), at=NOON)


BAD = looks(counted(10, 10), counted(40, 40, (30, 1)))
OVER = {"phase": "rolled_back", "reason": "errors: many", "ended_at": NOON + timedelta(seconds=90)}


def test_a_summary_has_the_outcome_the_counts_and_what_decided() -> None:
    assert summary(record(**OVER), [*BAD, waiting()]) == {
        "canary": 7,
        "revision": "sql@4",
        "compared_with": "sql@3",
        "outcome": "rolled_back",
        "reason": "errors: many",
        "started_by": "ann",
        "started_at": "2026-03-02T12:00:00+00:00",
        "running_since": "2026-03-02T12:00:00+00:00",
        "ended_at": "2026-03-02T12:01:30+00:00",
        "seconds": 90.0,
        "requests": {"canary": 50, "others": 50},
        "bad": {"errors": {"canary": 30, "others": 1}},
        "metric": "errors",
        "evidence": BAD[-1].verdict["e"],
        "needed": 200.0,
        "looks": 5,
    }


def test_a_canary_that_never_ran_has_a_summary_without_figures() -> None:
    told = summary(record(phase="failed", began_at=None), [waiting()])
    figures = (told["running_since"], told["ended_at"], told["seconds"], told["metric"], told["evidence"])
    assert figures == (None,) * 5
    assert (told["requests"], told["bad"], told["needed"]) == ({"canary": 0, "others": 0}, {}, None)


def test_only_a_look_that_rolled_it_back_decided() -> None:
    told = summary(record(**OVER), looks(counted(10, 10)))
    assert (told["metric"], told["evidence"]) == (None, None)


def test_the_summary_for_people() -> None:
    canary, e = record(**OVER), BAD[-1].verdict["e"]
    points = [
        Point(
            requests=50,
            weight=10.0,
            worse={"errors": 1.7, "empty": 0.254, "votes": 0.5},
            no_worse={"errors": 0.126, "votes": 1.0},
            bad={"errors": (30, 1), "empty": (2, 3)},
        )
    ]
    assert markdown(summary(canary, BAD), "evidence.svg", points) == (
        "# Canary 7: sql@4 was rolled back\n"
        "\n"
        "- **Why**: errors: many\n"
        "- **Compared with**: sql@3\n"
        "- **Started**: 2026-03-02T12:00:00+00:00 by ann\n"
        "- **Had requests**: for 90 s, until 2026-03-02T12:01:30+00:00\n"
        "- **Requests**: 50 of the canary's callers, 50 of others\n"
        f"- **Decided by**: errors, evidence {e:.4g} of 200 needed\n"
        "\n"
        "| metric | the canary's bad | others' bad | that it is worse, of what rolls back | "
        "that it is no worse, of what promotes |\n"
        "|---|--:|--:|--:|--:|\n"
        "| errors | 30 | 1 | 100% | 13% |\n"
        "| votes | 0 | 0 | 50% | 100% |\n"
        "| empty | 2 | 3 | 25% | 0% |\n"
        "\n"
        "![The evidence that it is worse, and that it is no worse](evidence.svg)\n"
        "\n"
        "`patchbay canary replay 7` makes every verdict again; "
        "`patchbay adapters audit --subject sql@4` has who did what.\n"
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"began_at": None}, "- **Had requests**: never"),
        ({}, "- **Had requests**: since 2026-03-02T12:00:00+00:00"),
        (OVER, "- **Had requests**: for 90 s, until 2026-03-02T12:01:30+00:00"),
    ],
)
def test_the_summary_says_for_how_long_it_had_requests(changes: dict[str, Any], words: str) -> None:
    text = markdown(summary(record(**changes), []), None, ())
    assert words in text.splitlines()
    assert "No request was judged." in text
    assert "Decided by" not in text
    assert "![" not in text


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"phase": "rolled_back"}, "Canary 7: sql@4 against sql@3, rolled back"),
        ({"phase": "running", "pool": "next"}, "Canary 7: pool next against all other pools, running"),
    ],
)
def test_the_title_names_both_sides_and_the_phase(changes: dict[str, Any], words: str) -> None:
    assert title(record(**changes)) == words


def test_a_status_tells_what_the_last_look_has_seen() -> None:
    told = standing(record(), [*looks(counted(10, 12, (1, 2))), waiting()])
    assert told == {
        "id": 7,
        "revision": "sql@4",
        "against": "sql@3",
        "phase": "running",
        "step": 0,
        "weight": 10.0,
        "requests": {"canary": 10, "others": 12},
        "bad": {"errors": [1, 2]},
        "evidence": told["evidence"],
        "seen": None,
        "more": 10,
        "paused_by": None,
        "says": "10 of 20 requests of this step",
    }
    assert standing(record(phase="rolled_back"), looks(counted(10, 12)))["more"] is None
    seen = replace(counted(10, 12), seen=CallersSeen("request", 3, 0.01))
    assert standing(record(), looks(seen))["seen"] == {"unit": "request", "callers": 3, "error": 0.01}
    empty = standing(record(), [])
    assert (empty["requests"], empty["bad"], empty["evidence"]) == ({"canary": 0, "others": 0}, {}, {})


NOTHING_YET = "no request has reached it yet, so there is nothing to judge"


@pytest.mark.parametrize(
    ("changes", "seen", "says"),
    [
        ({}, [counted(10, 9)], "10 of 20 requests of this step"),
        ({}, [], NOTHING_YET),
        ({"weight": 0.0}, [], "10% of callers"),
        ({"reason": "no data: gone"}, [counted(10, 9)], "no data: gone"),
        ({"reason": "undecided after 9 s"}, [counted(10, 9)], "undecided after 9 s"),
        ({"phase": "paused", "paused_by": "ann: lunch", "reason": "x"}, [counted(1, 1)], "paused by ann: lunch"),
        (
            {"phase": "paused", "paused_by": "ann", "reason": "no data: gone"},
            [counted(1, 1)],
            "paused by ann; no data: gone",
        ),
        ({"phase": "warming", "reason": "r2 loads it"}, [counted(1, 1)], "r2 loads it"),
        ({"phase": "rolled_back", "reason": "errors: many"}, [counted(1, 1)], "errors: many"),
    ],
)
def test_a_status_says_what_a_canary_waits_for(changes: dict[str, Any], seen: list[Counts], says: str) -> None:
    assert standing(record(**changes), looks(*seen))["says"] == says


def test_a_course_has_a_point_for_each_look_that_judged() -> None:
    made = [waiting(), *looks(counted(10, 12, (1, 2)), counted(5, 5), at=place(1))]
    first, second = course_of(record(), made)
    assert (first.requests, second.requests, first.weight) == (10, 15, 50.0)
    assert (first.bad, second.bad) == ({"errors": (1, 2)}, {"errors": (1, 2)})
    assert first.worse == made[1].verdict["evidence"]
    known = ledger(counted(10, 12, (1, 2)))
    assert first.no_worse == no_worse_of(PLAN, known)
    assert course_of(record(plan={"steps": []}), [waiting()]) == ()
    with pytest.raises(ConfigError):
        course_of(record(plan={"steps": []}), made)


def test_what_speaks_for_a_canary_is_the_better_of_both_tests_and_never_below_nothing() -> None:
    plan = planned(win_margin=0.1)
    known = ledger(*[counted(100, 100, (3, 4))] * 5, Counts(share=0.5, wins={1.0: 30}), plan=plan)
    metric, held = known.metrics["errors"], known.held_up
    assert metric.below is not None
    assert held is not None
    assert no_worse_of(plan, known) == pytest.approx(
        {
            "errors": max(metric.no_worse.log_e, metric.below.log_e) / to_show(plan),
            "wins": held.log_e / math.log(1 / 0.05),
        }
    )
    assert no_worse_of(PLAN, ledger(counted(10, 10, (9, 0)))) == {"errors": 0.0}


def test_a_replay_judges_again_and_tells_a_look_that_was_changed() -> None:
    made = [waiting(1), *looks(counted(10, 12, (1, 2)), counted(5, 5))]
    again = list(replayed(PLAN, made))
    assert [one.same for one in again] == [True, True]
    assert [one.ledger.canary for one in again] == [10, 15]
    assert again[0].again == made[1].verdict
    changed = replace(made[1], verdict={**made[1].verdict, "reason": "x"})
    assert [one.same for one in replayed(PLAN, [changed, made[2]])] == [False, True]
    older = replace(made[1], verdict={name: told for name, told in made[1].verdict.items() if name != "no_worse"})
    assert [one.same for one in replayed(PLAN, [older])] == [True], "earlier versions did not store it"
    wrong = replace(made[1], verdict={**made[1].verdict, "no_worse": {"errors": 1.0}})
    assert [one.same for one in replayed(PLAN, [wrong])] == [False]


@pytest.mark.parametrize(
    ("changes", "name"), [({}, "canary-7-sql-4"), ({"pool": "next", "adapter": "", "number": 0}, "canary-7-pool-next")]
)
def test_a_report_is_a_folder_of_three_files_and_replaces_an_earlier_one(
    tmp_path: Path, changes: dict[str, Any], name: str
) -> None:
    canary = record(**OVER, **changes)
    (tmp_path / name).mkdir()
    (tmp_path / name / "old").write_text("x", encoding="utf-8")
    for _ in range(2):
        assert write_incident(tmp_path, canary, BAD) == tmp_path / name
    assert sorted(one.name for one in tmp_path.iterdir()) == [name]
    files = {one.name: one.read_text(encoding="utf-8") for one in (tmp_path / name).iterdir()}
    report, course = summary(canary, BAD), course_of(canary, BAD)
    assert files == {
        "summary.md": markdown(report, "evidence.svg", course),
        "summary.json": json.dumps(report, indent=2) + "\n",
        "evidence.svg": plot(title(canary), course),
    }
    assert (tmp_path / name).stat().st_mode & 0o777 == 0o700


def test_a_plan_is_found_by_name_or_by_file(tmp_path: Path) -> None:
    assert named_plan("fast") == ready_plans()["fast"]
    file = tmp_path / "plan.yaml"
    file.write_text("steps: [{weight: 5}]\nmetrics: {errors: {}}\n", encoding="utf-8")
    assert named_plan(str(file)).steps[0].weight == 5
    with pytest.raises(ConfigError) as refused:
        named_plan("quick")
    assert str(refused.value) == (
        "There is no plan 'quick' (ready: careful, fast, shadow-first, manual), and no such file."
    )
    file.write_text("steps: []\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"plan\.yaml"):
        named_plan(str(file))


def test_phases_have_words() -> None:
    phases: list[CanaryPhase] = ["promoted", "rolled_back"]
    assert [title(record(phase=phase)).rpartition(", ")[2] for phase in phases] == ["promoted", "rolled back"]
