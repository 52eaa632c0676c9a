"""The breaker: it ends a canary that fails alone, at once, and none for what hits both arms."""

import random

import pytest

from patchbay.router.canary.assignment import Arm
from patchbay.router.canary.breaker import Breaker


def ended(breaker: Breaker, share: float, who: int, failed: bool, rng: random.Random) -> tuple[Arm, str | None]:
    arm: Arm = "canary" if rng.random() < share else "stable"
    return arm, breaker.after(arm, share, b"request:%d" % who, failed=failed)


@pytest.mark.parametrize("share", [0.1, 0.5])
@pytest.mark.parametrize(("errors", "requests"), [(0.1, 2400), (0.2, 2400), (0.3, 1200), (0.5, 600), (0.7, 600)])
def test_an_incident_that_hits_both_arms_alike_ends_innocent_canaries(
    share: float, errors: float, requests: int
) -> None:
    """At 20 requests a second: 120, 60 and 30 s. A probability of 1% would end 4 of 400 on average, that of the design
    (0.2%) more than 4 once in a thousand times."""
    wrong = 0
    for seed in range(400):
        rng, breaker = random.Random(f"{share} {errors} {seed}"), Breaker(5)  # noqa: S311 - dice
        said = (ended(breaker, share, who, rng.random() < errors, rng)[1] for who in range(requests))
        wrong += any(said)
    assert wrong <= 4


@pytest.mark.parametrize("share", [0.01, 0.05, 0.1, 0.25, 0.5])
def test_a_canary_that_fails_alone_goes_on_for_more_than_ten_of_its_requests(share: float) -> None:
    late = 0
    for seed in range(200):
        rng, breaker, failed = random.Random(f"{share} {seed}"), Breaker(5), 0  # noqa: S311 - dice
        for who in range(100_000):
            arm: Arm = "canary" if rng.random() < share else "stable"
            said = breaker.after(arm, share, b"request:%d" % who, failed=arm == "canary")
            failed += arm == "canary"
            if said is not None:
                break
        late += failed > 10
    assert late <= 2


def test_a_canary_that_begins_to_fail_after_a_good_while_goes_on_for_long() -> None:
    rng, breaker = random.Random(7), Breaker(5)  # noqa: S311 - dice
    for who in range(5000):
        assert ended(breaker, 0.1, who, rng.random() < 0.01, rng)[1] is None
    failed = 0
    for who in range(5000, 9000):
        arm: Arm = "canary" if rng.random() < 0.1 else "stable"
        failed += arm == "canary"
        if breaker.after(arm, 0.1, b"request:%d" % who, failed=arm == "canary") is not None:
            break
    assert failed <= 12


def test_what_others_were_answered_before_an_outage_ends_a_canary_in_it() -> None:
    breaker = Breaker(5)
    for who in range(200):
        assert breaker.after("stable", 0.1, b"request:%d" % who, failed=False) is None
    for who in range(200, 300):
        arm: Arm = "canary" if who % 10 == 0 else "stable"
        assert breaker.after(arm, 0.1, b"request:%d" % who, failed=True) is None


def test_an_outage_in_which_only_the_canary_is_asked_ends_it() -> None:
    breaker = Breaker(5)
    assert breaker.after("stable", 0.1, b"before", failed=False) is None
    for who in range(100):
        assert breaker.after("canary", 0.1, b"request:%d" % who, failed=True) is None


def test_one_caller_who_fails_again_and_again_ends_a_canary() -> None:
    breaker = Breaker(2)
    for who in range(300):
        assert breaker.after("canary", 0.1, b"user:one", failed=True) is None
        assert breaker.after("stable", 0.1, b"user:%d" % who, failed=False) is None
