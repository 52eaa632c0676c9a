import pytest

from patchbay.core.errors import ModelNotFound, Unavailable
from patchbay.router.fleet.names import build_table, resolve
from patchbay.router.fleet.snapshot import Replica, Target
from tests.unit.router.build import ours, plain, rev


def target_of(model: str, *replicas: Replica) -> Target:
    return resolve(model, build_table(replicas), replicas)


def test_an_adapters_name_means_its_highest_revision_by_number_and_not_by_spelling() -> None:
    target = target_of("sql", ours("a", rev("sql@9"), rev("sql@10"), rev("sql@2")))
    assert (target.engine_name, target.revision, target.label) == ("sql@10-" + "a" * 12, "sql@10", "sql")


@pytest.mark.parametrize("model", ["sql@1", "sql@1-" + "a" * 12])
def test_a_pinned_revision_stays_itself_beside_a_newer_one(model: str) -> None:
    target = target_of(model, ours("a", rev("sql@1"), rev("sql@2")))
    assert target.engine_name == "sql@1-" + "a" * 12


def test_the_base_is_served_by_every_replica_and_is_no_adapter() -> None:
    target = target_of("base", ours("a"), ours("b", rev("sql@1")))
    assert target == Target(label="base", engine_name="base", revision=None, replicas=("a", "b"))


def test_only_replicas_that_have_the_revision_can_serve_it() -> None:
    replicas = (ours("a", rev("sql@1")), ours("b", rev("sql@1"), rev("sql@2")))
    assert target_of("sql", *replicas).replicas == ("b",)
    assert target_of("sql@1", *replicas).replicas == ("a", "b")


def test_a_replica_without_the_name_in_its_slots_can_still_load_it() -> None:
    assert target_of("sql", ours("a", rev("sql@1", "declared")), ours("b", rev("sql@1", "loading"))).replicas == (
        "a",
        "b",
    )


@pytest.mark.parametrize("model", ["nope", "sql@2", "sql@1-" + "b" * 12, "sql@0", "sql@01", "", "SQL", "../sql"])
def test_an_unknown_name_is_not_found(model: str) -> None:
    with pytest.raises(ModelNotFound):
        target_of(model, ours("a", rev("sql@1")))


def test_a_draining_revision_is_not_found_by_any_name() -> None:
    replica = ours("a", rev("sql@1", "draining"))
    for model in ("sql", "sql@1", "sql@1-" + "a" * 12):
        with pytest.raises(ModelNotFound):
            target_of(model, replica)


def test_a_draining_revision_gives_its_name_to_the_one_before_it() -> None:
    assert target_of("sql", ours("a", rev("sql@1"), rev("sql@2", "draining"))).revision == "sql@1"


def test_a_failed_revision_is_forwarded_so_that_the_replica_can_say_why() -> None:
    assert target_of("sql", ours("a", rev("sql@1", "failed"))).replicas == ("a",)


def test_a_revision_that_failed_on_one_replica_goes_to_the_others() -> None:
    assert target_of("sql", ours("a", rev("sql@1", "failed")), ours("b", rev("sql@1"))).replicas == ("b",)


def test_a_name_known_only_to_an_unready_replica_keeps_a_target_so_that_it_is_no_404() -> None:
    assert target_of("sql", ours("a"), ours("b", rev("sql@1"), state="unready")).replicas == ("b",)


def test_the_newest_revision_on_an_unready_replica_does_not_take_the_name_from_a_ready_one() -> None:
    target = target_of("sql", ours("a", rev("sql@1")), ours("b", rev("sql@2"), state="unready"))
    assert (target.revision, target.replicas) == ("sql@1", ("a",))


def test_two_replicas_that_disagree_on_a_revisions_bytes_are_never_mixed() -> None:
    replicas = (ours("a", rev("sql@1")), ours("b", rev("sql@1", digest="b" * 12)))
    assert target_of("sql@1", *replicas).replicas == ("a",)
    assert target_of("sql@1-" + "b" * 12, *replicas).replicas == ("b",)


def test_a_base_goes_before_an_adapter_of_the_same_name() -> None:
    assert target_of("base", ours("a"), ours("b", rev("base@1"), base="other")).revision is None


def test_a_plain_servers_models_are_taken_as_it_lists_them() -> None:
    target = target_of("org/Model-7B@main", plain("p", "org/Model-7B@main"))
    assert (target.engine_name, target.revision, target.replicas) == ("org/Model-7B@main", None, ("p",))


def test_before_any_replica_was_seen_nobody_is_told_that_a_model_does_not_exist() -> None:
    with pytest.raises(Unavailable):
        target_of("sql", Replica(name="a", url="http://a"))


def test_a_very_long_model_name_is_not_sent_back_whole() -> None:
    with pytest.raises(ModelNotFound) as caught:
        target_of("x" * 100_000, ours("a"))
    assert len(str(caught.value)) < 400
