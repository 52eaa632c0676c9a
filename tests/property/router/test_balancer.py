from hypothesis import given
from hypothesis import strategies as st

from router.balancer import pick
from router.snapshot import Replica, Target

NAMES = ("a", "b", "c", "d", "e")
replicas = st.builds(
    lambda states, loads: [
        Replica(name, f"http://{name}", state, load=load)
        for name, state, load in zip(NAMES, states, loads, strict=False)
    ],
    st.lists(st.sampled_from(["ready", "unready", "draining"]), min_size=5, max_size=5),
    st.lists(st.integers(0, 3), min_size=5, max_size=5),
)
in_flight = st.dictionaries(st.sampled_from(NAMES), st.integers(0, 3))
names = st.sets(st.sampled_from(NAMES))


@given(replicas, names, in_flight, st.integers(0, 1000), names)
def test_the_pick_is_allowed_and_nobody_allowed_has_less_to_do(
    known: list[Replica], able: set[str], load: dict[str, int], turn: int, tried: set[str]
) -> None:
    allowed = [r for r in known if r.state == "ready" and r.name in able and r.name not in tried]
    picked = pick(known, Target("m", "m", None, tuple(able)), load, turn, tried)
    assert (picked is None) == (not allowed)
    if picked is not None:
        assert picked in allowed
        assert all((load.get(picked.name, 0), picked.load) <= (load.get(r.name, 0), r.load) for r in allowed)


@given(replicas, names, in_flight)
def test_equals_get_equal_shares_of_successive_turns(
    known: list[Replica], able: set[str], load: dict[str, int]
) -> None:
    target = Target("m", "m", None, tuple(able))
    turns = [pick(known, target, load, turn) for turn in range(60)]
    counts = {picked.name: turns.count(picked) for picked in turns if picked is not None}
    assert len(set(counts.values())) <= 1


@given(replicas)
def test_requests_that_all_last_are_spread_to_within_one(known: list[Replica]) -> None:
    load: dict[str, int] = {}
    for turn in range(25):
        picked = pick(known, Target("m", "m", None, NAMES), load, turn)
        if picked is not None:
            load[picked.name] = load.get(picked.name, 0) + 1
    counts = [load.get(r.name, 0) for r in known if r.state == "ready"]
    assert not counts or max(counts) - min(counts) <= 1
