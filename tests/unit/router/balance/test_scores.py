"""The pick of a replica against a score that is worked out by hand, one weight at a time and all together."""

from dataclasses import replace
from math import ceil

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchbay.core.replica import Tier
from patchbay.router.balance.affinity import beginning, first_choice
from patchbay.router.balance.pick import Query, Weights, pick
from patchbay.router.fleet.snapshot import Replica, Target
from patchbay.router.http.body import Prompt
from tests.unit.router.build import ours

SQL = Target(label="sql", engine_name="sql@1-aa", revision="sql@1", replicas=("a", "b", "c", "d", "e"))
BASE = replace(SQL, engine_name="base", revision=None)
TIER_SCORES: dict[Tier, float] = {"slot": 1.0, "cpu": 0.5, "disk": 0.0}
TIERS: list[Tier] = ["slot", "cpu", "disk"]


def replica(name: str, *, tier: Tier | None = None, elsewhere: int = 0, kv_use: float = 0.0) -> Replica:
    tiers: dict[str, Tier] = {} if tier is None else {"sql@1-aa": tier}
    return replace(ours(name), tiers=tiers, elsewhere=elsewhere, kv_use=kv_use)


def score_by_hand(one: Replica, able: list[Replica], query: Query, loads: dict[str, int]) -> float:
    """The sum that the documentation gives, with the default weights."""
    name, engine_name = one.name, query.target.engine_name
    names = [other.name for other in able]
    held = {other.name: TIER_SCORES[other.tiers.get(engine_name, "disk")] for other in able}
    if query.target.revision is None:
        residency = 0.0
    elif any(held.values()):
        residency = held[name]
    else:
        residency = 0.25 if first_choice(engine_name.encode(), names) == name else 0.0
    warm = first_choice(beginning(engine_name, query.prompt), names) == name
    most = max(loads[other] for other in names)
    return 2 * residency + (1 if warm else 0) + 2 * (1 - loads[name] / (most + 4)) + (1 - one.kv_use)


REPLICAS = st.lists(
    st.builds(
        replica,
        st.sampled_from("abcdef"),
        tier=st.none() | st.sampled_from(TIERS),
        elsewhere=st.integers(0, 5),
        kv_use=st.sampled_from([0.0, 0.25, 0.5, 1.0]),
    ),
    unique_by=lambda one: one.name,
    max_size=6,
)


@given(REPLICAS, st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 9)), st.sampled_from([SQL, BASE]), st.data())
def test_the_pick_has_the_best_score_of_those_within_their_share(
    replicas: list[Replica], in_flight: dict[str, int], target: Target, data: st.DataObject
) -> None:
    query = Query(
        target=target,
        prompt=Prompt(text=msgspec.Raw(data.draw(st.sampled_from([b'"one"', b'"two"', b'"three"'])))),
        tried=data.draw(st.sets(st.sampled_from("abcdef"), max_size=2)),
        turn=data.draw(st.integers(0, 20)),
        serving=data.draw(st.none() | st.sets(st.sampled_from("abcdef"))),
    )
    serving = target.replicas if query.serving is None else query.serving
    able = [one for one in replicas if one.name in serving and one.name not in query.tried]
    picked = pick(replicas, query, in_flight)
    if len(able) < 2:
        assert picked == (able[0] if able else None)
        return
    loads = {one.name: in_flight.get(one.name, 0) + one.elsewhere for one in able}
    share = ceil(1.25 * (sum(loads.values()) + 1) / len(able))
    within = [one for one in able if loads[one.name] < share]
    scores = {one.name: score_by_hand(one, within, query, loads) for one in within}
    assert picked is not None
    assert scores[picked.name] == pytest.approx(max(scores.values()))


def test_the_weights_that_nobody_sets_are_those_of_the_documentation() -> None:
    assert Weights() == Weights(residency=2.0, prefix=1.0, queue=2.0, kv=1.0, bound=1.25)


NOTHING = Weights(residency=0, prefix=0, queue=0, kv=0)


def picked(replicas: list[Replica], weights: Weights, target: Target = SQL, turn: int = 0, **loads: int) -> str:
    found = pick(replicas, Query(target=target, turn=turn), loads, weights)
    assert found is not None
    return found.name


def test_a_slot_goes_before_host_memory_and_that_before_the_disk() -> None:
    by_tier = [replica("a", tier="disk"), replica("b", tier="cpu"), replica("c", tier="slot")]
    assert picked(by_tier, replace(NOTHING, residency=1)) == "c"
    assert picked(by_tier[:2], replace(NOTHING, residency=1)) == "b"


def test_host_memory_is_worth_half_a_slot() -> None:
    half = [replica("a", tier="slot", kv_use=0.5), replica("b", tier="cpu")]
    assert picked(half, replace(NOTHING, residency=1.02, kv=1)) == "a"
    assert picked(half, replace(NOTHING, residency=0.98, kv=1)) == "b"


def test_a_cold_revisions_home_is_worth_a_quarter_of_a_slot() -> None:
    home = first_choice(b"sql@1-aa", ["a", "b"])
    both = [replica(name, kv_use=0.5 if name == home else 0.0) for name in ("a", "b")]
    assert picked(both, replace(NOTHING, residency=2.02, kv=1)) == home
    assert picked(both, replace(NOTHING, residency=1.98, kv=1)) != home


def test_a_base_has_no_home() -> None:
    home = first_choice(b"base", ["a", "b"])
    both = [replica(name, kv_use=0.01 if name == home else 0.0) for name in ("a", "b")]
    assert picked(both, replace(NOTHING, residency=2, kv=1), target=BASE) != home


@pytest.mark.parametrize(("queue", "expected"), [(4.9, "a"), (5.1, "b")])
def test_a_request_more_counts_by_the_largest_load_and_four(queue: float, expected: str) -> None:
    # Of five, one more counts for a fifth: as much as the whole KV cache once the weight is five times as large.
    assert picked([replica("a", kv_use=0.0), replica("b", kv_use=1.0)], replace(NOTHING, queue=queue, kv=1), a=1) == (
        expected
    )


def test_the_load_of_those_above_their_share_does_not_matter_for_the_rest() -> None:
    three = [replica("a"), replica("b", kv_use=0.2), replica("c")]
    # b and c have one request and none: a fifth of the queue's weight, whatever a has.
    assert picked(three, replace(NOTHING, queue=1, kv=2), a=50, b=0, c=1) == "c"
    assert picked(three, replace(NOTHING, queue=1, kv=0.5), a=50, b=0, c=1) == "b"


@pytest.mark.parametrize(
    ("loads", "allowed"),
    [
        # With one more, 1.25 times the mean of four requests at two replicas is 2.5: whoever has fewer than 3 may.
        ((0, 3), {"a"}),
        ((1, 2), {"a", "b"}),
        ((2, 2), {"a", "b"}),
        ((0, 0), {"a", "b"}),
        ((0, 1), {"a", "b"}),
        ((0, 2), {"a"}),
        ((10, 14), {"a", "b"}),
        ((10, 17), {"a", "b"}),
        ((10, 20), {"a"}),
    ],
)
def test_nobody_gets_more_than_a_quarter_above_the_mean(loads: tuple[int, int], allowed: set[str]) -> None:
    both = [replica("a"), replica("b")]
    counts = dict(zip("ab", loads, strict=True))
    assert {picked(both, NOTHING, BASE, turn, **counts) for turn in range(4)} == allowed


def test_the_only_replica_is_taken_however_busy_it_is() -> None:
    assert picked([replica("a", elsewhere=1000)], Weights(), a=1000) == "a"


def test_equal_replicas_follow_the_turn() -> None:
    three = [replica("a"), replica("b"), replica("c")]
    found = [pick(three, Query(target=BASE, turn=turn), {}, NOTHING) for turn in range(6)]
    assert "".join(one.name for one in found if one) == "abcabc"


def test_without_a_weight_for_it_the_prompts_beginning_is_not_looked_at() -> None:
    broken = Query(target=BASE, prompt=Prompt(text=msgspec.Raw(b"[{")), turn=1)
    found = pick([replica("a"), replica("b")], broken, {}, NOTHING)
    assert found is not None
    assert found.name == "b"
