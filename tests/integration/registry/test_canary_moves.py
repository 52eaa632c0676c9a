"""What people decide about a canary in the registry, on both databases: each decision does what it says and no more."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from patchbay.core.errors import Conflict
from patchbay.registry.canary_decisions import CanaryMoves
from patchbay.registry.canary_records import AT_GATE, CanaryDraft, CanaryRecord, LookDraft
from patchbay.registry.records import ChannelChange, RouterBeat
from patchbay.registry.registry import Registry
from patchbay.router.control.canary_loop import zero_share
from tests.fakes.drafts import draft

PLAN = {"steps": [{"weight": 10, "gate": False}, {"weight": 50, "gate": True}]}
START = datetime(2026, 1, 1, tzinfo=UTC)


class Hands:
    """A registry with `sql@1`, stable, and `sql@2`, which runs as a canary; `now`: its time."""

    def __init__(self, url: str) -> None:
        self.now = START
        self.registry = Registry.open(url, clock=lambda: self.now)
        self.moves = CanaryMoves(self.registry.canaries)
        for fill in (1, 2, 3):
            self.registry.push(draft("sql", fill), actor="ml")
        self.registry.move(ChannelChange(adapter="sql", number=1, channel="stable", actor="ml"), expected=None)
        made = self.registry.canaries.start(CanaryDraft(adapter="sql", number=2, plan=PLAN, actor="ml"))
        self.id = made.id
        assert made.rollout is not None
        self.registry.flip(made.rollout)
        self.look({"phase": "running", "weight": 10.0, "rollout": None}, "canary.run")

    @property
    def canary(self) -> CanaryRecord:
        return self.registry.canaries.get(self.id)

    @property
    def stable(self) -> int | None:
        return self.registry.snapshot().adapters["sql"].number("stable")

    def look(self, changes: dict[str, Any], said: str | None, *, clear: bool = False) -> CanaryRecord:
        """A look that changes that."""
        made = LookDraft(verdict={"kind": "made", "reason": said or ""}, changes=changes, action=said, clear=clear)
        return self.registry.canaries.look(self.id, lambda *_: made)


@pytest.fixture
def hands(url: str) -> Iterator[Hands]:
    made = Hands(url)
    with made.registry:
        yield made


def test_an_abort_while_promoting_leaves_its_rollout_to_move_stable(hands: Hands) -> None:
    promoting = hands.moves.promote(hands.canary, actor="op", why=None)
    assert promoting.rollout is not None
    after = hands.moves.abort(promoting, actor="op", why="customers complain")
    assert after.phase == "rolling_back"
    assert hands.registry.rollout(promoting.rollout).state == "superseded"
    with pytest.raises(Conflict, match="superseded already"):
        hands.registry.flip(promoting.rollout)
    assert hands.stable == 1
    assert not hands.registry.snapshot().rollouts


def test_a_verdict_leaves_a_rollout_of_what_is_rolled_back(hands: Hands) -> None:
    asked = hands.registry.begin_rollout(ChannelChange(adapter="sql", number=2, channel="stable", actor="ml"))
    other = hands.registry.begin_rollout(ChannelChange(adapter="sql", number=3, channel="canary", actor="ml"))
    hands.look({"phase": "rolling_back", "reason": "errors", "weight": 0.0}, "canary.roll_back", clear=True)
    assert [hands.registry.rollout(one.id).state for one in (asked, other)] == ["superseded", "superseded"]


def test_an_abort_takes_away_what_somebody_else_wants_to_be_stable(hands: Hands) -> None:
    wanted = hands.registry.begin_rollout(ChannelChange(adapter="sql", number=3, channel="stable", actor="ml"))
    hands.moves.abort(hands.canary, actor="op", why="no")
    assert hands.registry.rollout(wanted.id).state == "pending"


def test_a_canary_that_is_stable_by_now_is_said_to_be_rolled_back(hands: Hands) -> None:
    promoting = hands.moves.promote(hands.canary, actor="op", why=None)
    assert promoting.rollout is not None
    hands.registry.flip(promoting.rollout)
    with pytest.raises(Conflict, match="'stable' means sql@2 by now"):
        hands.moves.abort(hands.canary, actor="op", why="too late")
    assert (hands.canary.phase, hands.stable) == ("promoting", 2)


def test_the_end_of_a_pause_opens_the_next_gate(hands: Hands) -> None:
    paused = hands.moves.pause(hands.canary, actor="sre", why="lunch")
    assert paused.paused_by == "sre: lunch"
    resumed = hands.moves.resume(paused, actor="sre", why=None)
    assert (resumed.phase, resumed.passed, resumed.paused_by) == ("running", False, None)
    assert resumed.reason == "pause ended by sre"


def test_a_second_end_of_one_pause_opens_the_gate(hands: Hands) -> None:
    hands.moves.pause(hands.canary, actor="sre", why=None)
    resumed = hands.moves.resume(hands.canary, actor="sre", why=None)
    with pytest.raises(Conflict, match="is not paused, and has not reached the gate before 50%"):
        hands.moves.resume(resumed, actor="other", why=None)
    assert hands.canary == resumed


def test_a_gate_is_opened_where_it_is_reached_and_ahead_where_that_is_asked_for(hands: Hands) -> None:
    hands.look({"reason": f"{AT_GATE} go on to 50%"}, None)
    opened = hands.moves.resume(hands.canary, actor="sre", why="checked")
    assert (opened.passed, opened.reason) == (True, "gate before 50% opened by sre: checked")
    with pytest.raises(Conflict, match="no closed gate is before it"):
        hands.moves.resume(opened, actor="sre", why=None)


def test_a_gate_is_opened_ahead_only_where_that_is_said(hands: Hands) -> None:
    paused = hands.moves.pause(hands.canary, actor="sre", why=None)
    with pytest.raises(Conflict, match="is paused by sre"):
        hands.moves.resume(paused, actor="sre", why=None, ahead=True)
    running = hands.moves.resume(paused, actor="sre", why=None)
    assert hands.moves.resume(running, actor="sre", why=None, ahead=True).passed


def test_the_time_of_all_pauses_is_kept(hands: Hands) -> None:
    for pause_s in (40, 60):
        hands.moves.pause(hands.canary, actor="sre", why=None)
        hands.now += timedelta(seconds=pause_s)
        assert hands.canary.paused_until(hands.now) == pytest.approx(40 if pause_s == 40 else 100)
        hands.moves.resume(hands.canary, actor="sre", why=None)
        hands.now += timedelta(seconds=5)
    assert hands.canary.paused_until(hands.now) == pytest.approx(100)


@pytest.mark.parametrize("move", ["promote", "abort", "pause", "resume"])
def test_what_is_being_rolled_back_can_be_decided_about(hands: Hands, move: str) -> None:
    hands.look({"phase": "rolling_back", "reason": "errors: 9 of 10", "weight": 0.0}, "canary.roll_back", clear=True)
    with pytest.raises(Conflict, match=r"is rolling back \(errors: 9 of 10\)"):
        getattr(hands.moves, move)(hands.canary, actor="op", why="oops")
    assert hands.canary.reason == "errors: 9 of 10"


def test_what_is_being_promoted_is_promoted_once_more(hands: Hands) -> None:
    promoting = hands.moves.promote(hands.canary, actor="op", why=None)
    with pytest.raises(Conflict, match="is promoting"):
        hands.moves.promote(promoting, actor="op", why=None)


def test_a_look_is_given_what_somebody_wants_to_be_stable(hands: Hands) -> None:
    wanted = hands.registry.begin_rollout(ChannelChange(adapter="sql", number=3, channel="stable", actor="ml"))
    seen = []
    hands.registry.canaries.look(hands.id, lambda record, tallies, rollout, stable: seen.append(rollout))
    assert [one and one.id for one in seen] == [wanted.id]


def test_tallies_are_kept_folded_and_a_checkpoint_beside_them(hands: Hands) -> None:
    canaries = hands.registry.canaries
    for source in ("one", "two"):
        canaries.tally(source, {hands.id: [{"n": 1}, {"n": 2}]})
    judged = LookDraft(verdict={"kind": "hold", "place": []}, folded=({"n": 6},), checkpoint={"sum": 6})
    canaries.look(hands.id, lambda *_: judged)
    [look] = canaries.looks(hands.id, after=1)
    assert [(one.source, one.counts) for one in look.tallies] == [("routers", {"n": 6})]
    known, rest = canaries.resumed_from(hands.id)
    assert known is not None
    assert (known.ledger, known.look, rest) == ({"sum": 6}, 2, ())
    canaries.look(hands.id, lambda *_: LookDraft(verdict={"kind": "blind"}))
    assert [one.number for one in canaries.resumed_from(hands.id)[1]] == [3]
    assert canaries.judged(hands.id)[hands.id].number == 2
    assert [one.number for one in canaries.thinned(hands.id, 2)] == [2, 3]


def test_the_time_without_a_share_is_counted_from_the_verdict_and_not_from_a_new_leader(hands: Hands) -> None:
    hands.registry.beat(RouterBeat("late", hands.registry.generation(), hands.now))
    rolled = hands.look({"phase": "rolling_back", "reason": "errors", "weight": 0.0}, "canary.roll_back", clear=True)
    assert rolled.verdict_at == hands.now
    assert rolled.verdict_generation is not None
    generation = hands.registry.generation()
    assert rolled.verdict_generation <= generation
    for beat in range(4):
        hands.registry.beat(RouterBeat("quick", generation, hands.now + timedelta(seconds=0.25 + 2 * beat)))
    routers = hands.registry.routers(60)
    said = zero_share(rolled.verdict_at, rolled.verdict_generation, routers)
    assert said == "no share left on 1 router after 0.25 s, not seen on late"


def test_an_installation_has_an_id_of_its_own_for_ever(hands: Hands, url: str) -> None:
    made = hands.registry.snapshot().installation
    assert len(made) == 32
    with Registry.open(url) as again:
        assert again.snapshot().installation == made
