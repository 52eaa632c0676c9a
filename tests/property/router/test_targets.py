from dataclasses import replace
from itertools import zip_longest

from hypothesis import given
from hypothesis import strategies as st

from patchbay.core.names import parse_reference
from patchbay.core.replica import RevisionState
from patchbay.router.fleet.models_page import build_listing
from patchbay.router.fleet.names import alike, build_table
from patchbay.router.fleet.snapshot import Catalog, HeldRevision, Replica, ReplicaState

revision_states: st.SearchStrategy[RevisionState] = st.sampled_from(
    ("declared", "loading", "resident", "draining", "failed")
)


@st.composite
def revisions(draw: st.DrawFn) -> HeldRevision:
    adapter = draw(st.sampled_from(["sql", "json", "a-b.c"]))
    number = draw(st.integers(1, 12))
    digest = draw(st.sampled_from(["a" * 12, "b" * 12]))
    state: RevisionState = draw(revision_states)
    return HeldRevision(adapter=adapter, number=number, engine_name=f"{adapter}@{number}-{digest}", state=state)


@st.composite
def fleets(draw: st.DrawFn) -> list[Replica]:
    found: list[Replica] = []
    for index in range(draw(st.integers(0, 4))):
        held = draw(st.lists(revisions(), max_size=5, unique_by=lambda revision: revision.engine_name))
        state: ReplicaState = draw(st.sampled_from(["ready", "unready", "draining"]))
        catalog = draw(st.sampled_from([None, Catalog(base="base", source="hub/base", revisions=tuple(held))]))
        found.append(Replica(name=f"r{index}", url=f"http://r{index}", state=state, catalog=catalog))
    return found


def usable(replica: Replica) -> list[HeldRevision]:
    return [r for r in replica.catalog.revisions if r.state != "draining"] if replica.catalog else []


@given(fleets())
def test_every_replica_of_a_target_really_has_it(fleet: list[Replica]) -> None:
    by_name = {replica.name: replica for replica in fleet}
    for target in build_table(fleet).values():
        assert target.replicas
        for name in target.replicas:
            held = {revision.engine_name for revision in usable(by_name[name])}
            assert target.engine_name in held | {"base"}


@given(fleets())
def test_an_adapters_name_means_the_highest_number_on_ready_replicas(fleet: list[Replica]) -> None:
    table = build_table(fleet)
    ready = [revision for replica in fleet if replica.state == "ready" for revision in usable(replica)]
    for adapter in {revision.adapter for revision in ready}:
        highest = max(revision.number for revision in ready if revision.adapter == adapter)
        assert table[adapter].revision == f"{adapter}@{highest}"


@given(fleets())
def test_a_name_means_what_it_says(fleet: list[Replica]) -> None:
    for name, target in build_table(fleet).items():
        asked, found = parse_reference(name), parse_reference(target.engine_name)
        assert asked is not None
        assert found is not None
        assert asked.name == found.name
        assert asked.number in (None, found.number)
        assert asked.digest in (None, found.digest)


@given(fleets())
def test_a_replica_resolves_the_clients_own_name_to_the_same_revision(fleet: list[Replica]) -> None:
    """The body goes on as it is, so the name in it must mean on the replica what it means here."""
    by_name = {replica.name: replica for replica in fleet if replica.state == "ready"}
    for name, target in build_table(fleet).items():
        asked = parse_reference(name)
        for replica in (by_name[served] for served in target.replicas if served in by_name):
            matches = [
                r
                for r in usable(replica)
                if asked
                and r.adapter == asked.name
                and asked.number in (None, r.number)
                and r.engine_name.endswith(asked.digest or "")
            ]
            if matches:
                assert max(matches, key=lambda r: r.number).number == int(
                    target.engine_name.split("@")[1].split("-")[0]
                )


@given(fleets())
def test_whatever_is_listed_can_be_asked_for(fleet: list[Replica]) -> None:
    assert set(build_listing(fleet, 1).by_id) <= set(build_table(fleet))


@given(fleets())
def test_the_list_does_not_depend_on_the_order_of_ready_replicas(fleet: list[Replica]) -> None:
    ready = [replica for replica in fleet if replica.state == "ready"]
    assert build_listing(ready, 1).whole == build_listing(ready[::-1], 1).whole


@given(fleets(), fleets())
def test_replicas_that_are_alike_give_other_names_or_another_list(fleet: list[Replica], other: list[Replica]) -> None:
    """Only where they are not, everything is made anew."""
    changed = [
        replace(one, catalog=its.catalog) if alike(one.catalog, its.catalog) else one
        for one, its in zip_longest(fleet, other[: len(fleet)], fillvalue=Replica(name="", url=""))
    ]
    assert build_table(fleet) == build_table(changed)
    assert build_listing(fleet, 1) == build_listing(changed, 1)


@given(fleets(), st.sampled_from(["declared", "loading", "resident"]))
def test_a_replica_that_loads_what_it_has_is_not_alike(fleet: list[Replica], state: RevisionState) -> None:
    for replica in fleet:
        if replica.catalog is not None:
            served = [r for r in replica.catalog.revisions if r.state not in ("draining", "failed")]
            loaded = [replace(r, state=state) if r in served else r for r in replica.catalog.revisions]
            assert alike(replica.catalog, replace(replica.catalog, revisions=tuple(loaded)))
            assert not served or not alike(replica.catalog, replace(replica.catalog, revisions=tuple(loaded[1:])))
