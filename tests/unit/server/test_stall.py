"""An engine that lives and does nothing counts as dead, and no other does."""

from hypothesis import given
from hypothesis import strategies as st

from patchbay.server.stall import StallWatch

LIMIT_S = 10.0


def test_work_that_waits_without_progress_for_the_limit_is_a_stall() -> None:
    watch = StallWatch(LIMIT_S)
    assert watch.observe(progress=7, pending=2, now_s=100.0) is None
    assert watch.observe(progress=7, pending=1, now_s=109.9) is None
    reason = watch.observe(progress=7, pending=1, now_s=110.0)
    assert reason == "it has stood still for 10 s while 1 requests and calls wait for it"


def test_time_without_work_counts_for_nothing() -> None:
    watch = StallWatch(LIMIT_S)
    assert watch.observe(progress=7, pending=1, now_s=0.0) is None
    assert watch.observe(progress=7, pending=0, now_s=9.0) is None
    assert watch.observe(progress=7, pending=1, now_s=1000.0) is None
    assert watch.observe(progress=7, pending=1, now_s=1018.9) is not None


@given(st.lists(st.tuples(st.floats(0.1, 9.9), st.integers(0, 3), st.booleans()), max_size=50))
def test_an_engine_that_gets_something_done_within_the_limit_is_never_stalled(
    steps: list[tuple[float, int, bool]],
) -> None:
    watch, now_s, progress = StallWatch(LIMIT_S), 0.0, 0
    for elapsed_s, pending, busy in steps:
        now_s += elapsed_s
        # Work that waits gets something done between any two looks.
        progress += 1 if busy or pending else 0
        assert watch.observe(progress=progress, pending=pending, now_s=now_s) is None
