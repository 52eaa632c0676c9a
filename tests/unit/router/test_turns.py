"""The harness that fails tests whose event loop is held."""

import asyncio
import gc
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from tests.fakes.turns import LIMIT_S, Turns, _quick, offload, watched_turns

LONG_S = LIMIT_S * 1.5


def work(seconds: float) -> None:
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


def longest(*callbacks: Callable[[], object]) -> Turns:
    """The turns of a loop, one of which runs `callbacks`."""

    async def run() -> None:
        for callback in callbacks:
            asyncio.get_running_loop().call_soon(callback)
        await asyncio.sleep(0.01)

    turns = Turns()
    with watched_turns(turns):
        thread = threading.Thread(target=asyncio.run, args=(run(),))
        thread.start()
        thread.join()
    return turns


@pytest.fixture(autouse=True)
def forgiven(quick_turns: Turns) -> Iterator[None]:
    """The turns of these tests are long on purpose."""
    yield
    quick_turns.longest_s = 0.0


def test_a_callback_that_works_for_long_is_not_noticed() -> None:
    def hold() -> None:
        work(LONG_S)

    turns = longest(hold)
    assert turns.longest_s > LIMIT_S
    assert "hold" in str(turns)


def test_many_short_callbacks_in_one_turn_are_not_noticed() -> None:
    assert longest(*[lambda: work(LONG_S / 10)] * 10).longest_s > LIMIT_S


def test_a_pause_of_the_collector_does_not_count() -> None:
    kept = [[] for _ in range(1_500_000)]  # type: ignore[var-annotated]
    assert longest(gc.collect).longest_s > 0.02
    assert kept


def test_waiting_or_another_threads_work_counts() -> None:
    other = threading.Thread(target=work, args=(LONG_S,))
    assert longest(lambda: time.sleep(LONG_S), other.start, other.join).longest_s < LIMIT_S


def test_what_is_put_apart_counts() -> None:
    def prepare() -> None:
        with offload():
            work(LONG_S)

    assert longest(prepare).longest_s < LIMIT_S


def test_a_test_passes_in_which_a_turn_was_long() -> None:
    async def hold() -> None:
        work(LONG_S)

    watching = _quick(Turns())
    next(watching)
    asyncio.run(hold())
    with pytest.raises(pytest.fail.Exception, match="one turn of the event loop took"):
        next(watching)
