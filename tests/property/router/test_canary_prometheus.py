"""Canaries by Prometheus: what its server has of the routers' counters comes to what the routers counted."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from patchbay.router.canary.assignment import Arm
from patchbay.router.canary.counts import GrowingCounts
from patchbay.router.canary.ledger import Counts
from patchbay.router.canary.plan import MetricConfig, PlanConfig, StepConfig
from patchbay.router.canary.recorder import Recorder
from patchbay.router.control.prometheus import read_counts
from tests.property.router.test_canary_counts import total

PLAN = PlanConfig(steps=(StepConfig(weight=10),), metrics={"errors": MetricConfig(most=0.2), "votes": MetricConfig()})
ARMS: tuple[Arm, ...] = ("canary", "stable")


Series = dict[str, tuple[Mapping[str, str], float]]


def series(values: Mapping[tuple[str, str, str], float]) -> Series:
    found: Series = {}
    for (router, arm, event), value in values.items():
        labels = {"router": router, "arm": arm, "share": "0.1", "event": event}
        found[f"{router} {arm} {event}"] = (labels, value)
    return found


@given(
    steps=st.lists(
        st.dictionaries(
            st.tuples(st.sampled_from(["one", "two"]), st.sampled_from(ARMS), st.sampled_from(["request", "errors"])),
            st.integers(0, 9),
        ),
        max_size=8,
    ),
    missed=st.sets(st.integers(0, 7)),
)
def test_prometheus_counts_come_to_the_same_whenever_they_are_scraped(
    steps: list[dict[tuple[str, Arm, str], int]], missed: set[int]
) -> None:
    values: dict[tuple[str, str, str], float] = {}
    cursor: Mapping[str, Any] = {}
    read: list[Counts] = []
    for place, grown in enumerate([*steps, {}]):
        for key, more in grown.items():
            values[key] = values.get(key, 0) + more
        if place in missed and place < len(steps):
            continue
        reading = read_counts(series(values), cursor)
        cursor, read = reading.cursor, read + list(reading.counts)
    sums = [sum(value for (_, arm, event), value in values.items() if (arm, event) == one) for one in _KINDS]
    assert total(read) == tuple(sums)


_KINDS = (("canary", "request"), ("stable", "request"), ("canary", "errors"), ("stable", "errors"))


def test_a_router_that_was_restarted_counts_from_nothing_again() -> None:
    key = ("one", "canary", "request")
    first = read_counts(series({key: 40}), {})
    again = read_counts(series({key: 7}), first.cursor)
    assert [one.canary for one in (*first.counts, *again.counts)] == [40, 7]


def test_a_series_that_is_hidden_for_a_while_is_not_counted_twice() -> None:
    key = ("one", "canary", "request")
    first = read_counts(series({key: 40}), {})
    gone = read_counts({}, first.cursor)
    back = read_counts(series({key: 45}), gone.cursor)
    assert [one.canary for one in back.counts] == [5]


@st.composite
def _happenings(draw: st.DrawFn) -> tuple[str, Any]:
    kind = draw(st.sampled_from(["request", "copy", "pair", "vote"]))
    bad = draw(st.sets(st.sampled_from(["errors", "votes", "unwatched"])))
    arm, caller = draw(st.sampled_from(ARMS)), draw(st.integers(0, 5))
    return kind, (arm, caller, frozenset(bad), draw(st.sampled_from([0.1, 0.5])), draw(st.sampled_from([0, 0.5, 1])))


@given(happenings=st.lists(_happenings(), max_size=30))
def test_what_prometheus_has_is_all_that_the_router_counted_copies_and_pairs_too(
    happenings: list[tuple[str, Any]],
) -> None:
    told: Counter[tuple[str, float, str]] = Counter()
    recorder = Recorder(1, PLAN, lambda: 0.0, lambda arm, share, what: told.update([(arm, share, what)]))
    for kind, (arm, caller, bad, share, value) in happenings:
        if kind == "copy":
            recorder.shadowed(bad)
        elif kind == "pair":
            recorder.won(share, value)
        else:
            entry = recorder.begin(arm, share, b"%d" % caller)
            recorder.end(entry, bad)
            if kind == "vote":
                recorder.happened(entry, "votes")
    scraped = {
        str(place): ({"arm": arm, "share": str(share), "event": what}, float(count))
        for place, ((arm, share, what), count) in enumerate(told.items())
    }
    kept = [one for one in recorder.take() if one.tripped is None]
    assert by_share(read_counts(scraped, {}).counts) == by_share(kept)


def by_share(counts: Sequence[Counts]) -> dict[float, Counts]:
    found: dict[float, GrowingCounts] = {}
    for one in counts:
        found.setdefault(one.share, GrowingCounts()).add(one)
    return {share: one.counts(share) for share, one in found.items()}
