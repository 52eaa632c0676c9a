"""Canaries in the registry, on both databases: looks are whole, tallies are judged once, nobody overrules blindly."""

from typing import Any

import pytest

from patchbay.core.errors import Conflict
from patchbay.registry.canary_records import CanaryDraft, CanaryEnd, CanaryRecord, LookDraft
from patchbay.registry.records import ChannelChange
from patchbay.registry.registry import Registry
from tests.fakes.drafts import draft


def tried(registry: Registry, adapter: str = "sql") -> CanaryRecord:
    """A canary of an adapter's second revision against its first."""
    for fill in (1, 2):
        registry.push(draft(adapter, fill), actor="ml")
    registry.move(ChannelChange(adapter=adapter, number=1, channel="stable", actor="ml"), expected=None)
    return registry.canaries.start(CanaryDraft(adapter=adapter, number=2, plan={"steps": []}, actor="ml"))


def held(record: CanaryRecord, tallies: Any, rollout: Any, stable: int | None) -> LookDraft:
    return LookDraft(verdict={"kind": "hold", "log_e": 0.1 + 0.2, "seen": [one.id for one in tallies]})


def test_a_look_takes_every_tally_once_and_keeps_numbers_bit_for_bit(registry: Registry) -> None:
    canary = tried(registry)
    registry.canaries.tally("one", {canary.id: [{"share": 0.1 + 0.2}, {"share": 1e-300}]})
    registry.canaries.look(canary.id, held)
    registry.canaries.tally("two", {canary.id: [{"share": 0.5}]})
    registry.canaries.look(canary.id, held)
    first, second = registry.canaries.looks(canary.id)
    assert [tally.counts["share"] for tally in first.tallies] == [0.1 + 0.2, 1e-300]
    assert [tally.source for tally in second.tallies] == ["two"]
    assert first.verdict["log_e"] == 0.1 + 0.2


def test_what_was_counted_of_all_canaries_is_kept_at_once_but_for_those_that_are_over_or_unknown(
    registry: Registry,
) -> None:
    one, other = tried(registry), tried(registry, "json")
    registry.canaries.change(other, {"phase": "rolled_back"}, actor="ml", action="canary.abort")
    registry.canaries.tally("one", {one.id: [{"share": 0.5}], other.id: [{"share": 0.5}], 999: [{"share": 0.5}]})
    registry.canaries.look(one.id, held)
    assert [len(look.tallies) for look in registry.canaries.looks(one.id)] == [1]
    assert not registry.canaries.looks(other.id)


def test_a_canary_under_way_is_not_listed_for_those_that_have_ended_since(registry: Registry) -> None:
    live = tried(registry)
    for pool in ("a", "b", "c"):
        over = registry.canaries.start(CanaryDraft(adapter="", number=0, plan={"steps": []}, actor="ml", pool=pool))
        registry.canaries.change(over, {"phase": "rolled_back"}, actor="ml", action="canary.abort")
    assert [one.subject for one in registry.canaries.history(limit=2)] == ["c", "b", "sql"]
    assert [one.id for one in registry.canaries.history("sql", limit=2)] == [live.id]
    assert [one.subject for one in registry.canaries.history("a")] == ["a"]


def test_a_look_that_fails_changes_nothing(registry: Registry) -> None:
    canary = tried(registry)
    registry.canaries.tally("one", {canary.id: [{"share": 0.5}]})

    def broken(record: CanaryRecord, tallies: Any, rollout: Any, stable: int | None) -> LookDraft:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        registry.canaries.look(canary.id, broken)
    registry.canaries.look(canary.id, held)
    [look] = registry.canaries.looks(canary.id)
    assert len(look.tallies) == 1


def test_the_weight_is_gone_in_the_same_moment_as_the_verdict_is_there(registry: Registry) -> None:
    canary = tried(registry)

    def worse(record: CanaryRecord, tallies: Any, rollout: Any, stable: int | None) -> LookDraft:
        return LookDraft(
            verdict={"kind": "roll_back"},
            changes={"phase": "rolling_back", "weight": 0.0},
            action="canary.roll_back",
            clear=True,
        )

    registry.canaries.change(canary, {"weight": 25.0, "phase": "running"}, actor="ml", action="canary.run")
    registry.canaries.look(canary.id, worse)
    [seen] = registry.snapshot().canaries
    assert (seen.phase, seen.weight) == ("rolling_back", 0.0)


def test_two_who_change_a_canary_at_once_do_not_both_have_their_way(registry: Registry) -> None:
    canary = tried(registry)
    registry.canaries.change(canary, {"phase": "paused"}, actor="one", action="canary.pause")
    with pytest.raises(Conflict, match="somebody else has changed it"):
        registry.canaries.change(canary, {"phase": "running"}, actor="two", action="canary.resume")


def test_an_adapter_has_one_canary_at_a_time(registry: Registry) -> None:
    canary = tried(registry)
    with pytest.raises(Conflict, match="has a canary already"):
        registry.canaries.start(CanaryDraft(adapter="sql", number=2, plan={}, actor="ml"))
    registry.canaries.end(
        CanaryEnd(canary=canary, changes={"phase": "failed"}, actor="ml", action="canary.failed", why="a drill")
    )
    assert registry.canaries.start(CanaryDraft(adapter="sql", number=2, plan={}, actor="ml")).id == canary.id + 1


def test_what_prometheus_counted_is_counted_by_one_router_only(registry: Registry) -> None:
    canary = tried(registry)
    registry.canaries.tally_from(canary.id, "prometheus", [{"share": 0.5}], ({}, {"a": 3.0}))
    registry.canaries.tally_from(canary.id, "prometheus", [{"share": 0.5}], ({}, {"a": 3.0}))
    registry.canaries.look(canary.id, held)
    [look] = registry.canaries.looks(canary.id)
    assert len(look.tallies) == 1
    assert registry.canaries.get(canary.id).cursor == {"a": 3.0}
