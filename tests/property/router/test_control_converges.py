"""Whatever replicas hold and whatever the registry wants: following the plan, they come to hold just that."""

from hypothesis import given
from hypothesis import strategies as st

from patchbay.core.replica import ReplicaStatus, RevisionState, RevisionStatus
from patchbay.registry.records import AdapterSettings
from patchbay.router.control.desired import DesiredRevision, Why
from patchbay.router.control.plan import ReplicaPlan, make_plan, place
from tests.unit.router.control.build import BASE, digest, here, name, status

ADAPTERS = st.sampled_from(["a", "b", "c"])
NUMBERS = st.integers(1, 4)
STATES: st.SearchStrategy[RevisionState] = st.sampled_from(["declared", "resident", "failed"])
WHYS: st.SearchStrategy[Why] = st.sampled_from(["rollout", "stable", "canary", "warm"])


@st.composite
def wanteds(draw: st.DrawFn) -> tuple[DesiredRevision, ...]:
    keys = draw(st.lists(st.tuples(ADAPTERS, NUMBERS), unique=True, max_size=8))
    settings = st.builds(AdapterSettings, preload=st.booleans(), pin=st.booleans())
    bases = st.sampled_from([BASE, None, "0" * 64])
    return tuple(
        DesiredRevision(
            adapter=adapter,
            number=number,
            digest=digest(adapter, number),
            base=draw(bases),
            settings=draw(settings),
            why=draw(WHYS),
        )
        for adapter, number in keys
    )


@st.composite
def held(draw: st.DrawFn) -> tuple[RevisionStatus, ...]:
    keys = draw(st.lists(st.tuples(ADAPTERS, NUMBERS), unique=True, max_size=8))
    found = [here(*key, draw(STATES), pin=draw(st.booleans())) for key in keys]
    impostor = {"engine_name": "a@1-000000000000"}
    return tuple(
        one.model_copy(update=impostor) if one.engine_name == name("a", 1) and draw(st.booleans()) else one
        for one in found
    )


def carried_out(now: ReplicaStatus, plan: ReplicaPlan) -> ReplicaStatus:
    """What the replica tells once it has done what the plan asks."""
    left = {(one.adapter, one.number): one for one in now.revisions if f"{one.adapter}@{one.number}" not in plan.drops}
    for put in plan.puts:
        key = put.wanted.adapter, put.wanted.number
        before = left.get(key)
        resident = put.load or (before is not None and before.state == "resident")
        left[key] = here(*key, "resident" if resident else "declared", pin=put.wanted.settings.pin)
    return now.model_copy(update={"revisions": tuple(left.values())})


@given(wanted=wanteds(), revisions=held(), cpu=st.integers(1, 6))
def test_replicas_come_to_hold_what_is_wanted_and_nothing_else_and_then_are_left_alone(
    wanted: tuple[DesiredRevision, ...], revisions: tuple[RevisionStatus, ...], cpu: int
) -> None:
    now = status(*revisions, cpu=cpu)
    for _ in range(3):
        plan = make_plan(wanted, now, {}, 0)
        ours = {one.name for one in wanted if one.base in (None, BASE)}
        right = {one.engine_name for one in wanted if one.base in (None, BASE)}
        kept = [one for one in now.revisions if one.engine_name in right]
        assert not {f"{one.adapter}@{one.number}" for one in kept} & set(plan.drops), "what is wanted was dropped"
        now = carried_out(now, plan)
    assert make_plan(wanted, now, {}, 0) == ReplicaPlan()
    assert {f"{one.adapter}@{one.number}" for one in now.revisions} == ours
    states = {one.adapter + str(one.number): one.state for one in place(wanted, "r", now, {})}
    assert set(states.values()) <= {"resident", "staged"}
    rolled = [one for one in wanted if one.why == "rollout" and one.base in (None, BASE)]
    assert all(states[one.adapter + str(one.number)] == "resident" for one in rolled)
