"""Each bet against its formula, worked out with plain products instead of sums of logarithms."""

import math
from math import isclose, log, prod
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchbay.router.canary.evidence import (
    Mean,
    Rate,
    Wealth,
    more_below,
    more_needed,
    more_to_show,
    no_worse,
    rejected,
    worse,
)

SHARES = st.floats(0.01, 0.9)
FEW = st.integers(0, 6)


def on_canary(ratio: float, share: float) -> float:
    """The chance that a bad event is the canary's, where that is `ratio` times as bad."""
    return ratio * share / (ratio * share + 1 - share)


@pytest.mark.parametrize(
    ("tolerated", "least", "most"), [(1.0, 1.5, 20.0), (1.2, 1.5, 20.0), (2.0, 2.5, 20.0), (8.0, 10.0, 40.0)]
)
def test_a_bet_on_a_worse_canary_is_spread_over_fifteen_ratios_above_what_is_tolerated(
    tolerated: float, least: float, most: float
) -> None:
    bet = worse(tolerated)
    assert (bet.bound, len(bet.ratios)) == (tolerated, 15)
    assert isclose(bet.ratios[0], least)
    assert isclose(bet.ratios[-1], most)
    assert isclose(bet.ratios[7], math.sqrt(least * most))


def test_what_is_tolerated_is_nothing_more_than_the_others_have_unless_it_is_said() -> None:
    assert worse() == worse(1.0)


def test_a_bet_on_a_good_canary_is_spread_over_fifteen_ratios_below_its_margin() -> None:
    bet = no_worse(2.0)
    assert (bet.bound, len(bet.ratios)) == (2.0, 15)
    assert isclose(bet.ratios[0], 0.25)
    assert isclose(bet.ratios[-1], 2 / 1.1)


@given(FEW, FEW, SHARES, st.floats(1, 4))
def test_a_ratios_evidence_is_the_mean_of_its_likelihood_ratios(
    canary: int, other: int, share: float, tolerated: float
) -> None:
    for bet in (worse(tolerated), no_worse(tolerated + 0.5)):
        null = on_canary(bet.bound, share)
        made = [
            prod([on_canary(ratio, share) / null] * canary + [(1 - on_canary(ratio, share)) / (1 - null)] * other)
            for ratio in bet.ratios
        ]
        assert isclose(bet.after(bet.start, canary, other, share).e, fmean(made), rel_tol=1e-9)


def test_without_an_event_a_ratio_stays_as_it_is() -> None:
    bet = worse()
    wealth = bet.after(bet.start, 2, 1, 0.3)
    assert bet.after(wealth, 0, 0, 0.0) is wealth
    assert bet.after(wealth, 1, 0, 0.3) != wealth
    assert bet.after(wealth, 0, 1, 0.3) != wealth


@given(st.sampled_from([0.1, 0.45, 0.5]), st.dictionaries(st.sampled_from([0.0, 0.5, 1.0]), FEW))
def test_a_means_evidence_is_the_mean_of_what_seven_stakes_have_made(bound: float, counts: dict[float, int]) -> None:
    for above in (True, False):
        bet = Mean(bound, above=above)
        # The largest safe stake loses everything at the value that speaks most against it.
        most = 1 / bound if above else -1 / (1 - bound)
        made = [
            prod((1 + part * most * (value - bound)) ** count for value, count in counts.items())
            for part in (0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.95)
        ]
        assert isclose(bet.after(bet.start, counts).e, fmean(made), rel_tol=1e-9)


@given(st.sampled_from([0.01, 0.1, 0.6, 0.9]), FEW, FEW)
def test_a_rates_evidence_is_the_mean_of_eight_likelihood_ratios(most: float, bad: int, good: int) -> None:
    least, highest = min(0.99, most * 1.5), 0.995
    rates = [least * (highest / least) ** (place / 7) for place in range(8)]
    made = [(rate / most) ** bad * ((1 - rate) / (1 - most)) ** good for rate in rates]
    bet = Rate(most)
    assert isclose(bet.after(bet.start, bad, good).e, fmean(made), rel_tol=1e-6)


def test_a_bet_begins_at_one_which_says_nothing() -> None:
    for start in (worse().start, no_worse(2).start, Mean(0.5, above=True).start, Rate(0.1).start):
        assert (start.e, start.log_e, set(start.logs)) == (1.0, 0.0, {0.0})


@pytest.mark.parametrize(
    ("logs", "log_e"),
    [
        ((0.0, 0.0), 0.0),
        ((log(2), log(4)), log(3)),
        ((-math.inf, log(4)), log(2)),
        ((-math.inf, -math.inf), -math.inf),
        ((1000.0, -1000.0), 1000.0 - log(2)),
    ],
)
def test_the_evidence_is_the_mean_of_its_parts_however_large_or_small(logs: tuple[float, ...], log_e: float) -> None:
    assert Wealth(logs).log_e == pytest.approx(log_e)
    assert Wealth(logs).e == pytest.approx(math.exp(min(log_e, 700)))


def test_parts_grow_each_by_its_own_and_their_number_stays() -> None:
    assert Wealth((1.0, 2.0)).grown((0.5, -3.0)) == Wealth((1.5, -1.0))
    with pytest.raises(ValueError, match="argument"):
        Wealth((1.0, 2.0)).grown((0.5,))


@pytest.mark.parametrize(
    ("e_values", "found"),
    [
        ({}, set()),
        ({"a": 19.9}, set()),
        ({"a": 20.0}, {"a"}),
        ({"a": 20.0, "b": 1.0}, set()),
        ({"a": 40.0, "b": 1.0}, {"a"}),
        ({"a": 20.0, "b": 20.0}, {"a", "b"}),
        ({"a": 40.0, "b": 19.9}, {"a"}),
        ({"b": 30.0, "a": 30.0, "c": 20.0}, {"a", "b", "c"}),
        ({"b": 30.0, "a": 30.0, "c": 19.0}, {"a", "b"}),
    ],
)
def test_more_is_rejected_the_more_speaks_against_several(e_values: dict[str, float], found: set[str]) -> None:
    assert rejected(e_values, 0.05) == found


SEEN = {"canary": 100.0, "canary_bad": 10.0, "other": 300.0, "other_bad": 3.0}


def growth(falls: float, bet: float, null: float) -> float:
    return falls * log(bet / null) + (1 - falls) * log((1 - bet) / (1 - null))


def test_what_is_needed_to_reject_is_what_is_left_over_what_a_request_brings() -> None:
    bet, share, alpha = worse(1.5), 0.25, 0.01
    wealth = bet.after(bet.start, 2, 1, share)
    own, rest = 10.5 / 101, 3.5 / 301
    events = own + rest * 3
    falls = on_canary(own / rest, share)
    best = max(growth(falls, on_canary(ratio, share), on_canary(1.5, share)) for ratio in bet.ratios)
    expected = math.ceil((log(100) - wealth.log_e) / (best * events))
    assert more_needed(bet, wealth, SEEN, share, alpha) == expected
    assert expected > 1


@pytest.mark.parametrize(
    ("changed", "needed"), [({"canary": 0.0}, None), ({"other": 0.0}, None), ({"canary_bad": 0.0}, None)]
)
def test_where_nothing_speaks_against_it_no_number_of_requests_would_do(
    changed: dict[str, float], needed: int | None
) -> None:
    bet = worse(1.5)
    assert more_needed(bet, bet.start, SEEN | changed, 0.25, 0.01) == needed


def test_where_enough_is_known_nothing_more_is_needed_though_an_arm_is_empty() -> None:
    bet = worse(1.5)
    assert more_needed(bet, Wealth((log(101),) * 15), SEEN | {"other": 0.0}, 0.25, 0.01) == 0
    assert more_to_show(no_worse(2), Wealth((log(101),) * 15), 0.1, 0.25, 0.01) == 0
    assert more_below(Mean(0.1, above=False), Wealth((log(101),) * 7), 0.01, 0.01) == 0


def test_what_is_needed_to_show_that_it_is_no_worse_goes_by_the_rate_of_both() -> None:
    bet, share, alpha, rate = no_worse(2.0), 0.25, 0.01, 0.05
    wealth = bet.after(bet.start, 1, 4, share)
    best = max(growth(share, on_canary(ratio, share), on_canary(2.0, share)) for ratio in bet.ratios)
    expected = math.ceil((log(100) - wealth.log_e) / (best * rate / share))
    assert more_to_show(bet, wealth, rate, share, alpha) == expected
    assert more_to_show(bet, wealth, 0.0, share, alpha) is None


def test_what_is_needed_to_show_that_a_rate_is_low_goes_by_that_rate() -> None:
    bet, rate = Mean(0.1, above=False), 0.02
    wealth = bet.after(bet.start, {1.0: 1, 0.0: 20})
    each = [
        rate * log(1 - part * 0.9 / 0.9) + (1 - rate) * log(1 + part * 0.1 / 0.9)
        for part in (0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.95)
    ]
    assert more_below(bet, wealth, rate, 0.01) == math.ceil((log(100) - wealth.log_e) / max(each))
    assert more_below(bet, wealth, 0.1, 0.01) is None
    assert more_below(bet, wealth, 0.5, 0.01) is None
