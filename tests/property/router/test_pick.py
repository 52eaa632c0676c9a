import math

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from patchbay.core.replica import Tier
from patchbay.router.balance.affinity import beginning, first_choice
from patchbay.router.balance.pick import Query, Weights, pick
from patchbay.router.fleet.snapshot import Replica, ReplicaState, Target
from patchbay.router.http.body import Prompt

NAMES = ("a", "b", "c", "d", "e")


def _replica(name: str, state: ReplicaState, elsewhere: int, kv_use: float, tier: Tier) -> Replica:
    return Replica(
        name=name, url=f"http://{name}", state=state, elsewhere=elsewhere, kv_use=kv_use, tiers={"m@1": tier}
    )


states: st.SearchStrategy[ReplicaState] = st.sampled_from(["ready", "unready", "draining"])
tiers: st.SearchStrategy[Tier] = st.sampled_from(["slot", "cpu", "disk"])
replicas = st.tuples(
    *(st.builds(_replica, st.just(name), states, st.integers(0, 3), st.floats(0, 1), tiers) for name in NAMES)
).map(list)
in_flight = st.dictionaries(st.sampled_from(NAMES), st.integers(0, 9))
names = st.sets(st.sampled_from(NAMES))
number = st.floats(0, 5)
weights = st.builds(Weights, residency=number, prefix=number, queue=number, kv=number, bound=st.floats(1, 3))
texts = st.text().map(lambda text: Prompt(text=msgspec.Raw(msgspec.json.encode(text))))


@given(replicas, names, names, in_flight, weights, texts)
def test_the_pick_is_allowed_and_within_its_share(
    known: list[Replica], able: set[str], tried: set[str], load: dict[str, int], weight: Weights, prompt: Prompt
) -> None:
    allowed = [r for r in known if r.state == "ready" and r.name in able and r.name not in tried]
    picked = pick(
        known,
        Query(
            target=Target(label="m", engine_name="m@1", revision="m@1", replicas=tuple(able)),
            prompt=prompt,
            tried=tried,
            turn=3,
        ),
        load,
        weight,
    )
    assert (picked is None) == (not allowed)
    if picked is not None and len(allowed) > 1:
        assert picked in allowed
        loads = {r.name: load.get(r.name, 0) + r.elsewhere for r in allowed}
        assert loads[picked.name] < math.ceil(weight.bound * (sum(loads.values()) + 1) / len(allowed))


@given(st.integers(1, 60), weights, texts)
def test_no_replica_gets_more_than_its_share_of_requests_that_last_however_hot_one_prompt_is(
    count: int, weight: Weights, prompt: Prompt
) -> None:
    known = [_replica(name, "ready", 0, 0.0, "slot" if name == "a" else "disk") for name in NAMES]
    load = dict.fromkeys(NAMES, 0)
    for turn in range(count):
        picked = pick(
            known,
            Query(
                target=Target(label="m", engine_name="m@1", revision="m@1", replicas=NAMES), prompt=prompt, turn=turn
            ),
            load,
            weight,
        )
        assert picked is not None
        load[picked.name] += 1
    assert max(load.values()) <= math.ceil(weight.bound * count / len(NAMES))


@given(replicas, in_flight, weights, texts, st.integers(0, 100))
def test_who_is_picked_does_not_depend_on_the_order_of_the_replicas_but_for_ties(
    known: list[Replica], load: dict[str, int], weight: Weights, prompt: Prompt, turn: int
) -> None:
    query = Query(target=Target(label="m", engine_name="m@1", revision="m@1", replicas=NAMES), prompt=prompt, turn=turn)
    every = [pick(known, Query(target=query.target, prompt=prompt, turn=t), load, weight) for t in range(60)]
    assert pick(known[::-1], query, load, weight) in every


@given(st.binary(), st.lists(st.text(min_size=1), min_size=2, unique=True), st.data())
def test_a_replica_that_leaves_takes_only_its_own_keys_along(
    key: bytes, members: list[str], data: st.DataObject
) -> None:
    gone = data.draw(st.sampled_from(members))
    before, after = first_choice(key, members), first_choice(key, [name for name in members if name != gone])
    assert before in (after, gone)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_any_json_has_a_beginning(value: object) -> None:
    assert beginning("m", Prompt(text=msgspec.Raw(msgspec.json.encode(value))))
