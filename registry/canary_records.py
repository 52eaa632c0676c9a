"""The records of canaries in the registry, as frozen values. Times are aware UTC datetimes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, Literal

from patchbay.core.names import revision_name

CanaryPhase = Literal[
    "pending", "warming", "running", "paused", "promoting", "promoted", "rolling_back", "rolled_back", "failed"
]
# The beginning of a canary's reason while a gate of its plan is closed. The share behind the gate follows.
AT_GATE = "somebody has to let it"
# Of these, a canary is at most in one at a time for each adapter.
LIVE: tuple[CanaryPhase, ...] = ("pending", "warming", "running", "paused", "promoting", "rolling_back")
# What a canary's end says of it; while it is under way nothing is said.
_VERDICTS: Mapping[str, Literal[-1, 1]] = MappingProxyType(
    {"promoted": 1, "rolling_back": -1, "rolled_back": -1, "failed": -1}
)
_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryEnd:
    """The end of a canary.

    `changes`: of its record, by field; `actor`: who ends it; `action`: the audit's name for it; `why`: the reason.
    """

    canary: "CanaryRecord"
    changes: Mapping[str, Any]
    actor: str
    action: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryDraft:
    """A canary to start: of a revision, or of a `pool` of replicas, `adapter` empty then.

    `plan`: whole, as JSON; `actor`: who starts it; `why`: needed where the revision was rolled back before.
    """

    adapter: str
    number: int
    plan: Mapping[str, Any]
    actor: str
    why: str | None = None
    pool: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryRecord:
    """A canary, of a revision or of a `pool`, `adapter` empty then.

    `baseline`: the number in `stable` at its start; `phase`, and `reason`, its explanation; `step`: of its plan, from
    0; `weight`: its percentage of the callers now; `passed`: whether somebody let the next step begin; `samples`: its
    requests when the step began; `version`: goes up by one at every change; `looks`: the number of looks at it;
    `judged`: the last look at which its evidence was judged; `rollout`: the one that it waits for; `cut`: whether its
    unfinished answers end with it; `paused_at`, `paused_by`: since when, by whom and why it is paused; `paused_s`: the
    seconds of earlier pauses; `verdict_at`, `verdict_generation`: when it began to be rolled back, and the registry's
    generation from which no router sends it anything; `cursor`: how far a Prometheus server has been read.
    """

    id: int
    adapter: str
    number: int
    baseline: int
    plan: Mapping[str, Any]
    phase: CanaryPhase
    reason: str
    step: int
    weight: float
    passed: bool
    samples: int
    version: int
    looks: int
    rollout: int | None
    cut: bool
    actor: str
    why: str | None
    created_at: datetime
    updated_at: datetime
    began_at: datetime | None = None
    step_at: datetime | None = None
    ended_at: datetime | None = None
    cursor: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)
    pool: str | None = None
    paused_at: datetime | None = None
    paused_by: str | None = None
    paused_s: float = 0.0
    verdict_at: datetime | None = None
    verdict_generation: int | None = None
    judged: int = 0

    @property
    def name(self) -> str:
        """The name of the revision or pool on trial: `sql@4`, or `pool next`."""
        return f"pool {self.pool}" if self.pool is not None else revision_name(self.adapter, self.number)

    @property
    def stable_name(self) -> str:
        """The name of the revision that it is compared with: `sql@3`, or the other pools."""
        return "all other pools" if self.pool is not None else revision_name(self.adapter, self.baseline)

    @property
    def subject(self) -> str:
        """The name that people use for it: the adapter's, or the pool's."""
        return self.pool if self.pool is not None else self.adapter

    @property
    def verdict(self) -> Literal[-1, 0, 1]:
        """1 where it was promoted, -1 where it is rolled back or failed, 0 where it is undecided."""
        return _VERDICTS.get(self.phase, 0)

    @property
    def next_step(self) -> int:
        """The step of its plan that comes next: the first, from 0, as long as no caller has been sent to it."""
        return self.step + 1 if self.weight > 0 else 0

    @property
    def next_gate(self) -> float | None:
        """The percent of callers of its next step, where somebody has to let that begin; None where nobody has to."""
        steps = self.plan.get("steps", ())
        if self.passed or self.next_step >= len(steps) or not steps[self.next_step].get("gate"):
            return None
        return float(steps[self.next_step]["weight"])

    @property
    def is_at_gate(self) -> bool:
        """Whether it waits for nothing else but that somebody lets its next step begin."""
        return self.phase == "running" and self.next_gate is not None and AT_GATE in self.reason

    def paused_until(self, now: datetime) -> float:
        """Returns the seconds that it has been paused, in all, until `now`."""
        return self.paused_s + ((now - self.paused_at).total_seconds() if self.paused_at is not None else 0.0)

    @property
    def live(self) -> bool:
        """Whether it has not ended."""
        return self.phase in LIVE


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryTally:
    """The counts of a canary's requests by one router, as JSON (router.canary.ledger.Counts).

    `look`: the number of the look that used it, None before.
    """

    id: int
    canary: int
    source: str
    counts: Mapping[str, Any]
    at: datetime
    look: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LookDraft:
    """A look at the evidence that is to be stored.

    `verdict`: as JSON, with everything that it was made from; `changes`: of the record, by field; `action`: the audit's
    name for it, None where nothing changes; `promote`: whether to make `stable` mean the revision; `clear`: whether to
    empty the channel `canary`; `folded`: counts to keep instead of the tallies that were used, with the same sum, None
    to keep the tallies; `checkpoint`: the ledger after it, as JSON.
    """

    verdict: Mapping[str, Any]
    changes: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)
    action: str | None = None
    promote: bool = False
    clear: bool = False
    folded: tuple[Mapping[str, Any], ...] | None = None
    checkpoint: Mapping[str, Any] | None = None

    @property
    def judged(self) -> bool:
        """Whether the evidence was judged at it."""
        return "place" in self.verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A look that was taken. `number`: from 1; `tallies`: the counts since the last one."""

    canary: int
    number: int
    verdict: Mapping[str, Any]
    tallies: tuple[CanaryTally, ...]
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """The sum of the looks at a canary, up to the one with the number `look`. `ledger`: as JSON."""

    canary: int
    look: int
    ledger: Mapping[str, Any]
