"""Usage: the counts must give the very hits that an LRU cache of any size would have had."""

from collections import OrderedDict

from hypothesis import given
from hypothesis import strategies as st

from patchbay.adapters.recommend import hit_rate, recommend
from patchbay.core.replica import RevisionUsage
from patchbay.server.usage import UsageCounter


def counted(names: list[str]) -> RevisionUsage:
    counter = UsageCounter()
    for name in names:
        counter.begin(name)
        counter.end(name)
    return counter.read()


def simulated(names: list[str], places: int) -> float:
    """The share of repeated requests that hit, in a cache that is really run."""
    cache: OrderedDict[str, None] = OrderedDict()
    seen: set[str] = set()
    hits = again = 0
    for name in names:
        again += name in seen
        hits += name in cache
        seen.add(name)
        cache[name] = None
        cache.move_to_end(name)
        if len(cache) > places:
            cache.popitem(last=False)
    return hits / again if again else 1.0


@given(st.lists(st.sampled_from("abcdefgh"), max_size=60), st.integers(1, 9))
def test_the_hits_of_a_cache_of_any_size_are_those_of_a_cache_that_is_run(names: list[str], places: int) -> None:
    assert hit_rate([counted(names)], places) == simulated(names, places)


def test_the_peak_counts_distinct_revisions_that_are_in_use_at_one_time() -> None:
    counter = UsageCounter()
    for name in ("a", "b", "a"):
        counter.begin(name)
    counter.end("a")
    counter.begin("c")
    assert counter.read().peak == 3


def test_too_few_places_and_slots_are_named_with_the_numbers_that_would_do() -> None:
    usage = counted(list("abcdef" * 20))
    told = recommend([usage.model_copy(update={"peak": 5})], slots=2, places=3)
    assert (told.max_loras, told.max_cpu_loras, told.hits_now, told.hits_then) == (5, 6, 0.0, 1.0)
    assert "set max_loras to 5" in told.words
    assert "set max_cpu_loras to 6" in told.words
    assert "have been enough" in recommend([usage], slots=2, places=6).words
    assert "No adapter" in recommend([], slots=2, places=6).words
