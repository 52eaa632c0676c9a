from router.balancer import pick
from router.snapshot import Replica, Target
from tests.unit.router.build import ours

TARGET = Target("base", "base", None, ("a", "b", "c"))


def name_of(replica: Replica | None) -> str | None:
    return replica.name if replica else None


def test_the_replica_with_the_fewest_requests_of_ours_goes_first_whatever_it_reports() -> None:
    replicas = [ours("a", load=0), ours("b", load=9)]
    assert name_of(pick(replicas, TARGET, {"a": 2, "b": 1}, turn=0)) == "b"


def test_what_replicas_report_decides_between_equals() -> None:
    assert name_of(pick([ours("a", load=3), ours("b", load=2)], TARGET, {}, turn=0)) == "b"


def test_equal_replicas_take_turns() -> None:
    replicas = [ours("a"), ours("b"), ours("c")]
    assert {name_of(pick(replicas, TARGET, {}, turn)) for turn in range(3)} == {"a", "b", "c"}


def test_replicas_that_are_unready_draining_tried_or_lack_the_model_are_never_picked() -> None:
    replicas = [ours("a", state="unready"), ours("b", state="draining"), ours("c"), ours("d")]
    assert pick(replicas, TARGET, {}, turn=0, tried={"c"}) is None
