"""A machine of canaries by hypothesis: leaders, operators, rollouts and clocks in any order, over a real registry.

What it holds to: `stable` moves only to what somebody chose, or to what a canary's evidence or its plan promoted past
no gate, pause or blackout; and once a canary is being rolled back, `stable` does not come to mean its revision until
somebody chooses that anew.
"""

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from patchbay.core.errors import Conflict, NotFound
from patchbay.registry.canary_decisions import CanaryMoves
from patchbay.registry.canary_records import CanaryDraft, CanaryRecord, CanaryTally, LookDraft
from patchbay.registry.records import UNFINISHED, ChannelChange, Move, Rollout
from patchbay.registry.registry import Registry
from patchbay.router.canary.config import plan_of
from patchbay.router.canary.ledger import Counts, Ledger
from patchbay.router.canary.phases import CanarySurroundings, next_phase, with_tallies
from patchbay.router.canary.plan import MetricConfig, PlanConfig, ShadowStep, StepConfig
from patchbay.router.canary.replay import replayed
from patchbay.router.control.canary_loop import opened_ledger
from tests.fakes.drafts import draft

_REVISIONS = 4
# Those that canaries are of; the others are what people want in `stable` by themselves.
_TRIED, _ASKED_FOR = (2, 3), (1, 4)
_MAX_S = 100
PICK = st.integers(0, 7)
PLANS = st.builds(
    lambda gates, shadow, undecided, blackout: PlanConfig(
        steps=tuple(
            StepConfig(weight=weight, hold_s=5, samples=5, gate=number in gates)
            for number, weight in enumerate((10.0, 50.0))
        ),
        metrics={"errors": MetricConfig(tolerated=1.5, most=0.3, margin=2.5)},
        max_s=_MAX_S,
        undecided=undecided,
        shadow=ShadowStep(samples=5) if shadow else None,
        blackout=("00:02-00:04",) if blackout else (),
    ),
    st.sets(st.integers(0, 1)),
    st.booleans(),
    st.sampled_from(["hold", "promote", "roll_back"]),
    st.booleans(),
)


class Clock:
    """The registry's time, which the machine sets."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


class Leader:
    """What the router that leads does, and knows: it forgets all of that when it dies. `blind`: why it has no data."""

    def __init__(self, registry: Registry, clock: Clock) -> None:
        self.registry = registry
        self.clock = clock
        self.books: dict[int, tuple[Ledger, int]] = {}
        self.blind: str | None = None

    def look(self, canary: int) -> CanaryRecord:
        """Takes a look."""
        canaries = self.registry.canaries
        plan = plan_of(dict(canaries.get(canary).plan), canary)
        if canary not in self.books:
            self.books[canary] = opened_ledger(canaries, canary, plan)
        ledger, looks = self.books[canary]

        def decide(
            record: CanaryRecord, tallies: Sequence[CanaryTally], rollout: Rollout | None, stable: int | None
        ) -> LookDraft | None:
            if record.looks != looks:
                self.books.pop(canary)
                return None
            grown = with_tallies(plan, ledger, tallies)
            said = next_phase(
                record,
                plan,
                grown,
                tallies,
                CanarySurroundings(rollout=rollout, stable=stable, now=self.clock.now, blind=self.blind),
            )
            if said is not None:
                self.books[canary] = grown, looks + 1
            return said

        return canaries.look(canary, decide)


class CanaryMachine(RuleBasedStateMachine):
    """Each run has an adapter of its own in a registry that all share. `numbers`: of the runs."""

    def __init__(self, registry: Registry, clock: Clock, numbers: "itertools.count[int]") -> None:
        super().__init__()
        self.registry, self.clock = registry, clock
        self.adapter = f"a{next(numbers)}"
        self.moves = CanaryMoves(registry.canaries)
        self.leaders = [Leader(registry, clock), Leader(registry, clock)]
        self.chosen: set[int] = {1}
        self.opened: dict[int, set[int]] = {}
        self.seen_moves = 1

    @initialize(plan=PLANS)
    def begin(self, plan: PlanConfig) -> None:
        """Four revisions, of which the first is stable, and the second runs as a canary."""
        self.clock.now = datetime(2026, 1, 1, tzinfo=UTC)
        for fill in range(1, _REVISIONS + 1):
            self.registry.push(draft(self.adapter, fill), actor="ml")
        self.registry.move(ChannelChange(adapter=self.adapter, number=1, channel="stable", actor="ml"), expected=None)
        self.start(plan, 2, arrived=True)

    @property
    def canary(self) -> CanaryRecord | None:
        found = [one for one in self.registry.canaries.history(self.adapter) if one.live]
        assert len(found) <= 1, "two canaries of one adapter"
        return found[0] if found else None

    @property
    def under_way(self) -> list[Rollout]:
        return [one for one in self.registry.rollouts(self.adapter) if one.state in UNFINISHED]

    @precondition(lambda self: self.canary is None)
    @rule(plan=PLANS, number=st.sampled_from(_TRIED), arrived=st.sampled_from([True, True, True, False]))
    def start(self, plan: PlanConfig, number: int, *, arrived: bool) -> None:
        """`arrived`: whether it is on every replica at once."""
        try:
            told = plan.model_dump(mode="json")
            made = self.registry.canaries.start(
                CanaryDraft(adapter=self.adapter, number=number, plan=told, actor="ml", why="again")
            )
        except Conflict:
            return
        self.opened[made.id] = set()
        if arrived and made.rollout is not None and self.registry.rollout(made.rollout).state in UNFINISHED:
            self.registry.flip(made.rollout)
            self.look(0)

    @rule(leader=st.integers(0, 1))
    def look(self, leader: int) -> None:
        before = self.canary
        if before is None:
            return
        after = self.leaders[leader].look(before.id)
        plan = plan_of(dict(before.plan), before.id)
        went = after.phase == "promoting" and before.phase != "promoting"
        grew = (after.step, after.weight > 0) > (before.step, before.weight > 0)
        if before.phase in ("running", "paused") and (went or grew):
            assert before.phase == "running", "it went on while somebody kept it"
            assert self.leaders[leader].blind is None, "it went on without data"
            assert not plan.is_blacked_out(self.clock.now.timestamp())
            # What was promoted was promoted past all gates, what took a step past those up to it.
            passed = range(len(plan.steps) if went else after.step + 1)
            closed = {step for step in passed if plan.steps[step].gate} - self.opened[before.id]
            assert not closed, f"gates {closed} were passed by nobody"
        if went:
            self.chosen.add(before.number)
        self._note_end(before, after)

    @rule(leader=st.integers(0, 1))
    def die(self, leader: int) -> None:
        """A leader dies, and another router, which knows nothing, leads in its place."""
        self.leaders[leader] = Leader(self.registry, self.clock)

    @rule(leader=st.integers(0, 1), blind=st.sampled_from([None, None, "Prometheus has not scraped router-1"]))
    def blind(self, leader: int, blind: str | None) -> None:
        self.leaders[leader].blind = blind

    @precondition(lambda self: self.canary is not None)
    @rule(
        kind=st.sampled_from(["good", "bad", "few", "tripped"]),
        wait_s=st.sampled_from([0, 6, _MAX_S + 1]),
        leader=st.integers(0, 1),
    )
    def count(self, kind: str, wait_s: int, leader: int) -> None:
        """Routers count something, time passes, and whoever leads looks."""
        canary = self.canary
        assert canary is not None
        share = canary.weight / 100
        told = {
            "good": [
                Counts(share=0.0, canary=6, shadowed=6),
                *([Counts(share=share, canary=300, other=300, bad={"errors": (1, 1)})] * 4 if share else ()),
            ],
            "bad": [Counts(share=share, canary=30, other=200, bad={"errors": (25, 1)})],
            "few": [Counts(share=share, canary=1, other=9)],
            "tripped": [Counts(share=0.0, tripped="5 callers in a row")],
        }[kind]
        self.registry.canaries.tally("router", {canary.id: [one.as_json for one in told]})
        self.clock.now += timedelta(seconds=wait_s)
        self.look(leader)

    @rule(leader=st.integers(0, 1), paused=st.booleans())
    def go_on(self, leader: int, *, paused: bool) -> None:
        """All is well for as long as its steps last, `paused` or not, unless something holds it up."""
        if paused and (canary := self.canary) is not None and canary.phase == "running":
            self.moves.pause(canary, actor="op", why=None)
        for _ in range(4):
            if (canary := self.canary) is not None and canary.phase in ("running", "paused"):
                self.count("good", 6, leader)

    @precondition(lambda self: self.canary is not None)
    @rule(move=st.sampled_from(["resume", "pause", "promote", "abort"]))
    def decide(self, move: str) -> None:
        before = self.canary
        assert before is not None
        try:
            after: CanaryRecord = getattr(self.moves, move)(before, actor="op", why=None)
        except Conflict:
            assert self.registry.canaries.get(before.id) == before
            return
        if move == "promote":
            self.chosen.add(before.number)
        if move == "resume" and before.phase == "running":
            self.opened[before.id].add(before.next_step)
        self._note_end(before, after)

    @precondition(lambda self: self.canary is not None and self.canary.phase == "promoting")
    @rule()
    def abort_late(self) -> None:
        """An operator aborts what is on its way to `stable`: seldom drawn among all else, and where it went wrong."""
        self.decide("abort")

    @rule(number=st.sampled_from(_ASKED_FOR), now=st.booleans())
    def choose(self, number: int, now: bool) -> None:
        """Somebody wants another revision in `stable`."""
        change = ChannelChange(adapter=self.adapter, number=number, channel="stable", actor="ml")
        self.chosen.add(number)
        if now:
            self.registry.move(change, expected=self.registry.snapshot().adapters[self.adapter].number("stable"))
        else:
            self.registry.begin_rollout(change)

    @rule()
    def go_back(self) -> None:
        try:
            record = self.registry.rollback(self.adapter, "stable", actor="ml", why=None)
        except (Conflict, NotFound):
            return
        assert record.number is not None
        self.chosen.add(record.number)

    @rule(pick=PICK, how=st.sampled_from(["flip", "flip", "fail"]))
    def end_rollout(self, pick: int, how: str) -> None:
        """The promoter ends a rollout: it may have decided to before something else was decided."""
        rollouts = [one for one in self.registry.rollouts(self.adapter) if one.state != "done"]
        if not rollouts:
            return
        one = rollouts[pick % len(rollouts)]
        try:
            if how == "flip":
                self.registry.flip(one.id)
            else:
                self.registry.advance(one.id, "failed", reason="no")
        except Conflict:
            return

    @rule()
    def see_through(self) -> None:
        """The leader has seen that no router sends it anything more."""
        canary = self.canary
        if canary is not None and canary.phase == "rolling_back":
            changes: dict[str, Any] = {"phase": "rolled_back", "ended_at": self.clock.now}
            self.registry.canaries.change(canary, changes, actor="canary", action="canary.rolled_back")

    @rule(seconds=st.sampled_from([1, 10, _MAX_S + 1]))
    def wait(self, seconds: int) -> None:
        self.clock.now += timedelta(seconds=seconds)

    def _note_end(self, before: CanaryRecord, after: CanaryRecord) -> None:
        if after.phase == "rolling_back" and before.phase != "rolling_back":
            # From here on somebody has to choose it anew.
            self.chosen.discard(before.number)
            assert not [one for one in self.under_way if one.number == before.number], "it may still become stable"

    @invariant()
    def stable_moves_only_to_what_was_chosen(self) -> None:
        moves: Sequence[Move] = self.registry.history(self.adapter, "stable")
        for move in moves[self.seen_moves :]:
            assert move.after in self.chosen, f"stable moved to {move.after}, chosen were {self.chosen}"
        self.seen_moves = len(moves)

    @invariant()
    def what_was_rolled_back_is_not_stable(self) -> None:
        last = self.registry.canaries.history(self.adapter, limit=1)
        stable = self.registry.snapshot().adapters[self.adapter].number("stable")
        if last and last[0].phase in ("rolling_back", "rolled_back") and last[0].number not in self.chosen:
            assert stable != last[0].number

    def teardown(self) -> None:
        """What a leader that knows nothing makes of the checkpoint is what all looks come to, and every verdict comes
        out again."""
        for record in self.registry.canaries.history(self.adapter):
            plan, looks = plan_of(dict(record.plan), record.id), self.registry.canaries.looks(record.id)
            whole = Ledger.opened(plan)
            for look in looks:
                whole = with_tallies(plan, whole, look.tallies)
            assert opened_ledger(self.registry.canaries, record.id, plan) == (whole, record.looks)
            assert all(one.same for one in replayed(plan, looks))
