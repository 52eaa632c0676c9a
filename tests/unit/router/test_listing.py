import json
from dataclasses import replace

from patchbay.router.fleet.models_page import build_listing
from patchbay.router.fleet.snapshot import Replica
from tests.unit.router.build import ours, plain, rev


def ids(*replicas: Replica) -> list[str]:
    return [entry["id"] for entry in json.loads(build_listing(replicas, 1).whole)["data"]]


def test_bases_adapters_and_revisions_come_in_one_order_whatever_the_replicas_order() -> None:
    a = ours("a", rev("sql@10"), rev("sql@2"), rev("json@1"))
    b = plain("b", "zeta", "alpha")
    expected = ["alpha", "base", "zeta", "json", "json@1", "sql", "sql@2", "sql@10"]
    assert ids(a, b) == expected
    assert ids(b, a) == expected


def test_a_model_on_two_replicas_is_listed_once() -> None:
    assert ids(ours("a", rev("sql@1")), ours("b", rev("sql@1"))) == ["base", "sql", "sql@1"]


def test_failed_and_draining_revisions_are_not_offered() -> None:
    assert ids(ours("a", rev("sql@1", "failed"), rev("json@1", "draining"))) == ["base"]


def test_a_replica_that_restarts_does_not_make_its_models_vanish() -> None:
    assert ids(ours("a", rev("sql@1"), state="unready")) == ["base", "sql", "sql@1"]


def test_an_adapter_names_its_newest_revision_and_its_base() -> None:
    entry = json.loads(build_listing([ours("a", rev("sql@1"), rev("sql@2"))], 5).by_id["sql"])
    assert entry == {
        "id": "sql",
        "object": "model",
        "created": 5,
        "owned_by": "patchbay",
        "root": "sql@2",
        "parent": "base",
    }


def test_every_listed_model_can_be_asked_for_alone() -> None:
    listing = build_listing([ours("a", rev("sql@1")), plain("b", "org/model")], 5)
    assert [json.loads(listing.by_id[entry["id"]]) for entry in json.loads(listing.whole)["data"]] == json.loads(
        listing.whole
    )["data"]


def contexts(*replicas: Replica) -> dict[str, int | None]:
    return {entry["id"]: entry.get("max_model_len") for entry in json.loads(build_listing(replicas, 1).whole)["data"]}


def with_context(replica: Replica, context: int | None) -> Replica:
    assert replica.catalog is not None
    return replace(replica, catalog=replace(replica.catalog, context=context))


def test_what_a_model_holds_is_told_of_it_and_of_its_adapters_as_the_least_of_its_replicas() -> None:
    large, small = with_context(ours("a", rev("sql@1")), 4096), with_context(ours("b", rev("json@1")), 2048)
    assert contexts(large, small) == {"base": 2048, "json": 2048, "json@1": 2048, "sql": 2048, "sql@1": 2048}


def test_what_a_model_holds_is_left_out_where_nobody_knows_it() -> None:
    assert set(contexts(with_context(ours("a", rev("sql@1")), None), plain("b", "x")).values()) == {None}
