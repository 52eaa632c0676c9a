from patchbay.router.control.rollouts import Fail, Flip, Step, Try, Wait, next_step
from tests.unit.router.control.build import at, placed, rollout


def step(*states: str, tested: dict[str, str | None] | None = None, now_s: float = 1, kind: str = "promote") -> Step:
    placements = [
        placed(f"r{index}", state, reason="why" if state == "failed" else None) for index, state in enumerate(states)
    ]
    return next_step(rollout("sql", 2, kind=kind), placements, tested or {}, at(now_s), timeout_s=60)


def test_a_channel_never_moves_before_every_replica_has_the_revision_loaded_and_tested() -> None:
    assert step("resident", "staged") == Wait("waiting for r1")
    assert step("resident", "resident") == Try(("r0", "r1"))
    assert step("resident", "resident", tested={"r0": None}) == Try(("r1",))
    assert step("resident", "resident", tested={"r0": None, "r1": None}) == Flip()


def test_one_replica_that_refuses_it_or_fails_its_test_fails_the_whole() -> None:
    assert step("resident", "failed") == Fail("r1: why")
    assert step("resident", "resident", tested={"r0": "it says nothing", "r1": None}) == Fail("r0: it says nothing")


def test_without_a_replica_for_its_base_model_it_waits_and_gives_up_in_time() -> None:
    assert step() == Wait("no ready replica has its base model")
    assert step(now_s=61) == Fail("no ready replica has its base model for more than 60 s")
    assert step("pending", now_s=61) == Fail("waiting for r0 for more than 60 s")


def test_what_is_rolled_back_to_is_not_tested_again() -> None:
    assert step("resident", kind="rollback") == Flip()
    assert step("staged", kind="rollback") == Wait("waiting for r0")
