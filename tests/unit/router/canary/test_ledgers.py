"""Counts and the ledger that grows by them: what is added to what, and what an unusual time leaves out."""

import json
import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchbay.router.canary.counts import GrowingCounts
from patchbay.router.canary.evidence import Mean, Rate, no_worse, worse
from patchbay.router.canary.ledger import CallersSeen, Counts, Ledger, Metric, counts_of, folded, ledger_of
from tests.unit.router.canary.build import PLAN, counted, ledger, planned

SEEN = CallersSeen("caller", 30, 0.01)
FULL = Counts(
    share=0.25,
    canary=5,
    other=20,
    bad={"errors": (1, 2), "errors@tenant=a": (1, 0)},
    wins={0.0: 1, 0.5: 2},
    own={"errors": 2},
    tripped="it fails",
    shadowed=3,
    seen=SEEN,
)


def test_counts_are_written_as_the_registry_has_them() -> None:
    assert FULL.as_json == {
        "share": 0.25,
        "canary": 5,
        "other": 20,
        "bad": {"errors": [1, 2], "errors@tenant=a": [1, 0]},
        "wins": {"0.0": 1, "0.5": 2},
        "own": {"errors": 2},
        "tripped": "it fails",
        "shadowed": 3,
        "seen": ["caller", 30, 0.01],
    }
    bare = {"share": 0.5, "canary": 0, "other": 0, "bad": {}, "wins": {}, "own": None, "tripped": None, "shadowed": 0}
    assert Counts(share=0.5).as_json == {**bare, "seen": None}
    assert counts_of(bare) == Counts(share=0.5), "an earlier version's"


NAMES = st.sampled_from(["errors", "votes"])
PAIRS = st.tuples(st.integers(0, 5), st.integers(0, 5))
COUNTS = st.builds(
    Counts,
    share=st.sampled_from([0.0, 0.1, 0.5]),
    canary=st.integers(0, 9),
    other=st.integers(0, 9),
    bad=st.dictionaries(NAMES, PAIRS),
    wins=st.dictionaries(st.sampled_from([0.0, 0.5, 1.0]), st.integers(1, 5)),
    own=st.none() | st.dictionaries(NAMES, st.integers(1, 5)),
    tripped=st.none() | st.just("it fails"),
    shadowed=st.integers(0, 3),
    seen=st.none()
    | st.builds(CallersSeen, st.sampled_from(["caller", "request"]), st.integers(0, 99), st.floats(0, 1)),
)


@given(COUNTS)
def test_counts_come_through_the_registry_as_they_were(counts: Counts) -> None:
    assert counts_of(json.loads(json.dumps(counts.as_json))) == counts


@given(st.lists(COUNTS, max_size=6), st.integers(0, 6))
def test_folding_adds_up_by_share_whatever_the_pieces(parts: list[Counts], cut: int) -> None:
    whole = folded(parts)
    assert folded([*folded(parts[:cut]), *folded(parts[cut:])]) == whole
    assert [one.share for one in whole] == sorted({one.share for one in parts})
    for one in whole:
        of = [part for part in parts if part.share == one.share]
        assert one.canary == sum(part.canary for part in of)
        assert one.other == sum(part.other for part in of)
        assert one.shadowed == sum(part.shadowed for part in of)
        assert one.tripped == next((part.tripped for part in of if part.tripped), None)
        for name in ("errors", "votes"):
            sums = [sum(part.bad.get(name, (0, 0))[arm] for part in of) for arm in (0, 1)]
            assert list(one.bad.get(name, (0, 0))) == sums
        for value in (0.0, 0.5, 1.0):
            assert one.wins.get(value, 0) == sum(part.wins.get(value, 0) for part in of)


def test_own_counts_stand_for_bad_ones_where_a_router_tells_none() -> None:
    told, silent = Counts(share=0.5, own={"errors": 2}), Counts(share=0.5, bad={"errors": (3, 9)})
    assert folded([told, silent])[0].own == {"errors": 5}
    assert folded([silent, told])[0].own == {"errors": 5}
    assert folded([silent, silent])[0].own is None


@pytest.mark.parametrize(
    ("now", "told", "news"),
    [
        (SEEN, SEEN, False),
        (replace(SEEN, callers=44), SEEN, False),
        (replace(SEEN, callers=45), SEEN, True),
        (replace(SEEN, unit="request"), SEEN, True),
        (replace(SEEN, error=0.9), SEEN, False),
    ],
)
def test_half_as_many_callers_more_or_another_unit_is_news(now: CallersSeen, told: CallersSeen, news: bool) -> None:
    assert now.is_news(told) is news


def test_of_several_routers_the_most_callers_the_largest_error_and_the_last_unit_count() -> None:
    later = CallersSeen("request", 20, 0.05)
    assert later.after(SEEN) == CallersSeen("request", 30, 0.05)
    assert SEEN.after(later) == CallersSeen("caller", 30, 0.05)
    assert later.after(None) is later


def test_growing_counts_are_read_by_arm_and_take_counts_back() -> None:
    growing = GrowingCounts()
    growing.add(FULL)
    growing.add(replace(FULL, own=None))
    assert growing.counts(0.1) == Counts(
        share=0.1,
        canary=10,
        other=40,
        bad={"errors": (2, 4), "errors@tenant=a": (2, 0)},
        wins={0.0: 2, 0.5: 4},
        own={"errors": 2},
        shadowed=6,
    )


PAIRED = planned(win_margin=0.1, slices=["tenant"], metrics={"errors": {"tolerated": 1.5, "most": 0.3, "margin": 2.5}})


def test_a_ledger_is_opened_with_a_bet_for_each_limit() -> None:
    opened = Ledger.opened(PAIRED)
    metric = opened.metrics["errors"]
    assert (metric.worse, metric.no_worse, metric.differs) == (worse(1.5).start, no_worse(2.5).start, worse(1).start)
    assert (metric.above, metric.below) == (Rate(0.3).start, Mean(0.03, above=False).start)
    assert (opened.lost, opened.held_up) == (Mean(0.4, above=False).start, Mean(0.4, above=True).start)
    bare = Ledger.opened(planned(metrics={"votes": {}}))
    assert (bare.lost, bare.held_up, bare.metrics["votes"].above, bare.metrics["votes"].below) == (None,) * 4
    assert (bare.canary, bare.other, bare.pairs, bare.shadowed, bare.tripped, bare.seen) == (0, 0, 0, 0, None, None)
    assert bare.metrics["votes"].undisturbed == (0, 0)


def test_each_bet_grows_by_its_own_counts() -> None:
    counts = Counts(
        share=0.25, canary=40, other=100, bad={"errors": (3, 4), "errors@tenant=a": (2, 1)}, own={"errors": 5}
    )
    known = Ledger.opened(PAIRED).after(PAIRED, counts)
    metric = known.metrics["errors"]
    assert (metric.canary, metric.other, known.canary, known.other) == (3, 4, 40, 100)
    assert metric.worse == worse(1.5).after(worse(1.5).start, 3, 4, 0.25)
    assert metric.no_worse == no_worse(2.5).after(no_worse(2.5).start, 3, 4, 0.25)
    assert metric.differs == worse(1.0).after(worse(1.0).start, 3, 4, 0.25)
    assert metric.above == Rate(0.3).after(Rate(0.3).start, 5, 35)
    below = Mean(0.03, above=False)
    assert metric.below == below.after(below.start, {1.0: 5, 0.0: 35})
    assert known.slices == {"errors@tenant=a": worse(1.5).after(worse(1.5).start, 2, 1, 0.25)}
    twice = known.after(PAIRED, counts)
    assert (twice.canary, twice.other, twice.metrics["errors"].canary, twice.metrics["errors"].other) == (80, 200, 6, 8)
    assert twice.slices["errors@tenant=a"] == worse(1.5).after(known.slices["errors@tenant=a"], 2, 1, 0.25)


def test_pairs_move_both_bets_on_them() -> None:
    wins = {0.0: 3, 1.0: 1}
    known = Ledger.opened(PAIRED).after(PAIRED, Counts(share=0.5, wins=wins))
    lost, held = Mean(0.4, above=False), Mean(0.4, above=True)
    assert (known.lost, known.held_up) == (lost.after(lost.start, wins), held.after(held.start, wins))
    assert known.pairs == 4
    assert Ledger.opened(PLAN).after(PLAN, Counts(share=0.5, wins=wins)).lost is None


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_where_one_arm_has_all_requests_nothing_is_compared_and_the_rate_alone_counts(share: float) -> None:
    known = Ledger.opened(PAIRED).after(
        PAIRED, Counts(share=share, canary=10, bad={"errors": (2, 0), "errors@tenant=a": (2, 0)}, shadowed=10)
    )
    metric = known.metrics["errors"]
    assert (metric.canary, metric.worse, metric.differs) == (2, worse(1.5).start, worse(1).start)
    assert metric.above == Rate(0.3).after(Rate(0.3).start, 2, 8)
    assert (known.slices, known.shadowed) == ({}, 10)


def test_the_first_reason_to_take_it_out_stays_and_callers_are_merged() -> None:
    known = ledger(Counts(share=0.5, tripped="first", seen=SEEN), Counts(share=0.5, tripped="second"))
    assert (known.tripped, known.seen) == ("first", SEEN)
    assert ledger(Counts(share=0.5, seen=SEEN), Counts(share=0.5, seen=replace(SEEN, callers=9))).seen == SEEN


@pytest.mark.parametrize(
    ("before", "others", "bad", "usual"),
    [
        ((0, 0), 0, 0, True),
        # Before anything is known half an event is expected of each request.
        ((0, 0), 4, 11, True),
        ((0, 0), 4, 12, False),
        # Of 999 ten and a half per thousand: of 100 one is expected, and 3 * (1.05 + 1.02) + 1 allowed.
        ((999, 10), 100, 7, True),
        ((999, 10), 100, 8, False),
        ((999, 10), 0, 1, True),
        ((999, 10), 0, 2, False),
    ],
)
def test_three_times_as_many_bad_ones_as_before_are_unusual(
    before: tuple[int, int], others: int, bad: int, usual: bool
) -> None:
    metric: Metric = replace(ledger().metrics["errors"], undisturbed=before)
    assert metric.is_usual(others, bad) is usual


def test_a_time_at_which_everybody_fails_shows_nothing_in_favour_of_the_canary() -> None:
    calm = ledger(*[counted(100, 100, (1, 1))] * 3)
    hit = calm.after(PLAN, counted(50, 50, (20, 25)), counted(50, 50, (20, 25), share=0.25))
    before, after = calm.metrics["errors"], hit.metrics["errors"]
    assert (after.no_worse, after.below, after.undisturbed) == (before.no_worse, before.below, before.undisturbed)
    assert after.worse != before.worse
    assert after.above != before.above
    assert (after.canary, after.other, hit.canary) == (43, 53, 400)
    assert before.undisturbed == (300, 3)


@given(st.lists(COUNTS, max_size=4))
def test_a_ledger_comes_through_the_registry_bit_for_bit(parts: list[Counts]) -> None:
    plan = planned(win_margin=0.1, metrics={"errors": {"most": 0.3}, "votes": {}})
    known = Ledger.opened(plan).after(plan, *parts)
    assert ledger_of(json.loads(json.dumps(known.as_json, allow_nan=False))) == known


def test_what_json_has_no_number_for_is_written_in_words() -> None:
    lost = replace(
        ledger(plan=PAIRED), lost=replace(ledger(plan=PAIRED).metrics["errors"].worse, logs=(-math.inf, 0.5))
    )
    document: dict[str, Any] = lost.as_json
    assert document["lost"]["logs"] == ["-inf", 0.5]
    assert ledger_of(document).lost == lost.lost
    with pytest.raises(ValueError, match="metrics"):
        ledger_of({"lost": None, "held_up": None})


def test_no_more_than_two_hundred_slices_are_kept() -> None:
    plan = planned(slices=["tenant"])
    bad = {f"errors@tenant={number}": (1, 0) for number in range(205)}
    known = Ledger.opened(plan).after(plan, Counts(share=0.5, bad=bad))
    assert len(known.slices) == 200
    again = known.after(plan, Counts(share=0.5, bad={"errors@tenant=0": (1, 0), "errors@tenant=new": (1, 0)}))
    assert len(again.slices) == 200
    assert again.slices["errors@tenant=0"] != known.slices["errors@tenant=0"]
