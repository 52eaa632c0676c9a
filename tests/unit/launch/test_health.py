"""When a process's health is reason to end it."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from patchbay.launch.health import Health, HealthLimits, HealthWatch

_PATIENCE = HealthLimits(silent_s=60, dead_s=20)
_TOLD: st.SearchStrategy[tuple[Health, float]] = st.tuples(
    st.sampled_from(("alive", "dead", "silent")), st.floats(min_value=0.1, max_value=70)
)


def ends(*told: tuple[Health, float]) -> str | None:
    watch = HealthWatch(_PATIENCE)
    return [watch.observe(health, now_s) for health, now_s in told][-1]


def test_a_process_that_is_silent_for_some_seconds_lives() -> None:
    assert ends(("alive", 0), ("silent", 1), ("silent", 60)) is None


def test_a_process_that_is_silent_for_the_whole_time_is_ended() -> None:
    said = ends(("alive", 0), ("silent", 1), ("silent", 61))
    assert said == "said nothing of its health for 60 s"


def test_a_process_that_says_that_it_is_dead_gets_the_time_to_end_by_itself_and_no_more() -> None:
    assert ends(("dead", 0), ("dead", 19)) is None
    assert ends(("dead", 0), ("silent", 20)) == "said for 20 s that it is dead"


def test_a_pause_in_the_asking_is_not_a_silence() -> None:
    assert ends(("alive", 0), ("silent", 10_000)) is None


@given(st.lists(_TOLD, min_size=1))
def test_a_process_is_ended_only_after_nothing_but_bad_answers_for_its_time(told: list[tuple[Health, float]]) -> None:
    watch, now_s, bad_since = HealthWatch(_PATIENCE), 0.0, None
    for health, after_s in told:
        now_s += after_s
        bad_since = None if health == "alive" else now_s if bad_since is None else bad_since
        why = watch.observe(health, now_s)
        lasting = 0.0 if bad_since is None else now_s - bad_since
        assert why is None or lasting >= _PATIENCE.dead_s
        assert why is not None or lasting < _PATIENCE.silent_s


@given(st.lists(_TOLD))
def test_a_good_answer_forgets_all_before_it(told: list[tuple[Health, float]]) -> None:
    times = list(itertools.accumulate(after_s for _, after_s in told))
    watch = HealthWatch(_PATIENCE)
    for (health, _), now_s in zip(told, times, strict=True):
        watch.observe(health, now_s)
    end_s = times[-1] if times else 0.0
    assert watch.observe("alive", end_s) is None
    assert watch.observe("dead", end_s + 1_000) is None
