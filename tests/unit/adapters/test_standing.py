"""The standing of adapters: what answers to a name, or the reason why nothing does."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

import pytest

from patchbay.adapters.standing import StandingFacts, standing_of, standings
from patchbay.registry.records import (
    AdapterSettings,
    AdapterView,
    ChannelRecord,
    Move,
    Placement,
    ReplicaReport,
    RevisionBrief,
    Rollout,
    RolloutState,
)

_NOW = datetime(2026, 1, 1, tzinfo=UTC)


def _view(stable: int | None, *, revisions: int = 1, name: str = "sql") -> AdapterView:
    channel = ChannelRecord(adapter=name, channel="stable", number=stable, previous=None, version=1, changed_at=_NOW)
    briefs = {number: RevisionBrief(number, "d", None) for number in range(1, revisions + 1)}
    return AdapterView(name, AdapterSettings(), {"stable": channel} if stable else {}, briefs)


def _placement(
    state: Literal["pending", "staged", "resident", "failed"], reason: str | None = None, *, replica: str = "replica-0"
) -> Placement:
    return Placement(replica=replica, adapter="sql", number=1, state=state, reason=reason)


def _report(*placements: Placement, ready: bool = True) -> ReplicaReport:
    return ReplicaReport(
        name="replica-0", base=None, ready=ready, slots=1, cpu=1, usage={}, placements=placements, seen_at=_NOW
    )


def _rollout(state: RolloutState, reason: str | None, *, number: int = 1) -> Rollout:
    return Rollout(
        id=1,
        adapter="sql",
        channel="stable",
        number=number,
        expected=None,
        state=state,
        reason=reason,
        actor="ml",
        why=None,
        created_at=_NOW,
        updated_at=_NOW,
    )


def _facts(*placements: Placement, **facts: Any) -> StandingFacts:
    return StandingFacts(**{"routed": True, "reports": (_report(*placements),), **facts})


@pytest.mark.parametrize("state", ["resident", "staged"])
def test_a_revision_that_a_replica_has_is_served(state: Literal["resident", "staged"]) -> None:
    standing = standing_of(_view(1), _facts(_placement(state)))
    assert (standing.served, standing.reason, standing.words) == ("sql@1", None, "")


@pytest.mark.parametrize(
    ("facts", "reason", "final"),
    [
        (_facts(_placement("failed", "rank 64 > 16")), "sql@1 failed to load on replica-0: rank 64 > 16", False),
        (_facts(_placement("pending")), "sql@1 waits for replica-0 to get it", False),
        (_facts(), "no ready replica has the base model of sql@1", False),
        (_facts(reports=(_report(_placement("resident"), ready=False),)), "no replica is ready", False),
        (_facts(routed=False), "no router uses this registry now: start one with `patchbay up`", False),
    ],
)
def test_a_stable_revision_that_nobody_has_is_not_served(facts: StandingFacts, reason: str, final: bool) -> None:
    standing = standing_of(_view(1), facts)
    assert (standing.served, standing.reason, standing.final) == (None, reason, final)
    assert standing.words == f"sql is not served: {reason}"


_CLEARED = Move(
    id=1, adapter="sql", channel="stable", kind="clear", before=1, after=None, actor="ml", why="it lies", at=_NOW
)


@pytest.mark.parametrize(
    ("facts", "reason", "final"),
    [
        ({"rollouts": {"sql": _rollout("failed", "replica-0: it says nothing")}},
         "sql@1 did not become stable: replica-0: it says nothing", True),
        ({"rollouts": {"sql": _rollout("staging", "waiting for replica-0")}},
         "sql@1 is being put on the replicas: waiting for replica-0", False),
        ({"rollouts": {"sql": _rollout("testing", None)}}, "sql@1 is being tested", False),
        ({"cleared": {"sql": _CLEARED}}, "ml emptied its channel 'stable': it lies", False),
        ({"refused": {"sql": "hf://no/such does not exist."}},
         "it cannot be brought in: hf://no/such does not exist.", False),
        ({}, "no revision is promoted: patchbay adapters promote sql@1", False),
    ],
)  # fmt: skip
def test_a_name_without_a_stable_revision_says_what_stands_in_the_way(
    facts: Mapping[str, Any], reason: str, final: bool
) -> None:
    standing = standing_of(_view(None), _facts(**facts))
    assert (standing.served, standing.reason, standing.final) == (None, reason, final)


def test_retired_revisions_are_not_offered_for_promotion() -> None:
    assert standing_of(_view(None, revisions=0), _facts()).reason == "all its revisions are retired"


def test_a_newer_revision_that_failed_is_told_beside_the_one_that_answers() -> None:
    facts = _facts(
        _placement("resident"),
        _placement("failed", "out of memory", replica="replica-1"),
        rollouts={"sql": _rollout("failed", "golden prompt 1: no", number=2)},
    )
    standing = standing_of(_view(1, revisions=2), facts)
    assert standing.served == "sql@1"
    assert standing.words == (
        "sql: it failed to load on replica-1: out of memory; sql@2 did not become stable: golden prompt 1: no"
    )


def test_what_is_only_declared_or_refused_is_in_the_list_too() -> None:
    found = standings([_view(1)], _facts(_placement("staged"), refused={"bad": "it is a pickle."}), declared=["new"])
    assert [(one.adapter, one.served) for one in found] == [("bad", None), ("new", None), ("sql", "sql@1")]
    assert found[0].reason == "it cannot be brought in: it is a pickle."
    assert "no router has brought it into the registry yet" in str(found[1].reason)
