"""What is kept of system prompts is bounded by bytes, whatever clients send."""

from patchbay.guards.stream.automaton_cache import AutomatonCache


def test_a_prompt_that_is_asked_for_again_is_built_once() -> None:
    cache = AutomatonCache()
    assert cache.automaton("you are a helper") is cache.automaton("you are a helper")


def test_the_least_recently_used_go_first_once_the_bytes_are_used_up() -> None:
    cache = AutomatonCache(max_bytes=2 * 400 * 100)
    first, second = cache.automaton("a" * 100), cache.automaton("b" * 100)
    assert cache.automaton("a" * 100) is first
    cache.automaton("c" * 100)
    assert len(cache) == 2
    assert cache.automaton("a" * 100) is first
    assert cache.automaton("b" * 100) is not second


def test_one_that_is_larger_than_all_of_it_is_not_kept() -> None:
    cache = AutomatonCache(max_bytes=400 * 50)
    small = cache.automaton("a" * 10)
    assert cache.automaton("x" * 1000).length[-1] == 1000
    assert len(cache) == 1
    assert cache.automaton("a" * 10) is small
