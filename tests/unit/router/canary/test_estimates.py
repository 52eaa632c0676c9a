"""About how many more requests decide, as the judge tells it, beside the formulas that it is made of."""

from patchbay.router.canary.evidence import Mean, more_below, more_needed, more_to_show, no_worse, worse
from patchbay.router.canary.evidence_course import course_of
from patchbay.router.canary.judge import Continue, Promote, judge
from patchbay.router.canary.ledger import Ledger
from patchbay.router.canary.phases import verdict_json
from tests.unit.router.canary.build import NOON_S, PLAN, counted, ledger, place, planned, record
from tests.unit.router.canary.test_reports import looks

LATER_S = NOON_S + 100


def ways(known: Ledger) -> tuple[int | None, int | None, int | None]:
    """The requests that reject, that show it by comparison, and that show it by being rare, at half of its alpha."""
    metric = known.metrics["errors"]
    assert metric.below is not None
    rate = (metric.canary + metric.other + 0.5) / (known.canary + known.other + 1)
    seen = {
        "canary": float(known.canary),
        "other": float(known.other),
        "canary_bad": float(metric.canary),
        "other_bad": float(metric.other),
    }
    return (
        more_needed(worse(1.5), metric.worse, seen, 0.5, 0.01 / 2),
        more_to_show(no_worse(2.5), metric.no_worse, rate, 0.5, 0.025),
        more_below(Mean(0.03, above=False), metric.below, rate, 0.025),
    )


def told(known: Ledger) -> int | None:
    verdict = judge(PLAN, known, place(1), LATER_S)
    assert isinstance(verdict, Continue), verdict
    return verdict.more


def test_the_soonest_decision_is_told_whichever_way_it_goes() -> None:
    for canary, other in ((3, 3), (6, 2), (8, 2), (1, 1), (0, 3)):
        known = ledger(counted(50, 50, (canary, other)))
        assert told(known) == min(way for way in ways(known) if way is not None)


def test_where_nothing_would_decide_no_number_is_told() -> None:
    plan = planned(win_margin=0.1)
    known = ledger(*[counted(100, 100, (3, 4))] * 20, plan=plan)
    verdict = judge(plan, known, place(1), LATER_S)
    assert isinstance(verdict, Continue)
    assert verdict.more is None, "no number of requests makes pairs"


def test_what_is_too_rare_to_compare_says_how_many_requests_would_tell() -> None:
    known = ledger(*[counted(100, 100)] * 3)
    verdict = judge(PLAN, known, place(1), LATER_S)
    assert isinstance(verdict, Promote)
    _, compared, _ = ways(known)
    rare = f"too rare to be compared, and below what does harm: errors (about {compared} more would tell)"
    assert verdict.reason == f"on 300 requests nothing is worse by more than its margin; {rare}"


def test_the_slowest_of_several_metrics_is_told() -> None:
    metrics = {"errors": {"tolerated": 1.5, "margin": 2.5}, "votes": {"tolerated": 1.5, "margin": 4}}
    plan = planned(metrics=metrics)
    known = ledger(counted(50, 50, (3, 3)), plan=plan)
    rates = {"errors": 6.5 / 101, "votes": 0.5 / 101}
    shown = [
        more_to_show(no_worse(plan.metrics[name].margin), known.metrics[name].no_worse, rate, 0.5, 0.025)
        for name, rate in rates.items()
    ]
    verdict = judge(plan, known, place(1), LATER_S)
    assert isinstance(verdict, Continue)
    assert verdict.reason == "not yet shown to be no worse: errors, votes"
    assert verdict.more == max(number for number in shown if number is not None)


def test_a_point_of_a_course_has_the_weight_of_its_step() -> None:
    assert [one.weight for one in course_of(record(), looks(counted(1, 1), counted(1, 1)))] == [10.0, 10.0]
    assert [one.weight for one in course_of(record(), looks(counted(1, 1), at=place(1)))] == [50.0]


def test_an_estimate_is_stored_with_its_look() -> None:
    known = ledger(counted(50, 50, (3, 3)))
    assert verdict_json(PLAN, known, place(1), LATER_S)["more"] == told(known)
