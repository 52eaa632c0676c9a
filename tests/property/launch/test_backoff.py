from hypothesis import given, settings
from hypothesis import strategies as st

from patchbay.launch.backoff import Backoff, RestartConfig


class _Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


_lives = st.lists(st.tuples(st.booleans(), st.floats(0, 200)), max_size=30)
_policies = st.builds(
    RestartConfig,
    first_delay_s=st.floats(0.01, 5),
    longest_delay_s=st.floats(5, 60),
    reset_after_s=st.floats(0, 120),
)


@settings(deadline=None)
@given(_policies, _lives)
def test_delays_double_to_the_longest_and_start_over_after_a_healthy_life(
    policy: RestartConfig, lives: list[tuple[bool, float]]
) -> None:
    clock = _Clock()
    backoff = Backoff(policy, clock)
    expected = policy.first_delay_s
    for gets_ready, seconds in lives:
        clock.now = 0.0
        if gets_ready:
            backoff.became_ready()
        clock.now = seconds
        healthy = gets_ready and seconds >= policy.reset_after_s
        expected = policy.first_delay_s if healthy else expected
        delay = backoff.delay_after_exit()
        assert delay == expected
        assert policy.first_delay_s <= delay <= policy.longest_delay_s
        expected = min(expected * 2, policy.longest_delay_s)


def test_the_defaults() -> None:
    backoff = Backoff(RestartConfig())
    assert [backoff.delay_after_exit() for _ in range(7)] == [1, 2, 4, 8, 16, 30, 30]
