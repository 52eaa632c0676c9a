"""Short ways to write canaries' records, ledgers and places in plans."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from patchbay.registry.canary_records import CanaryRecord
from patchbay.router.canary.judge import PlanPosition
from patchbay.router.canary.ledger import Counts, Ledger
from patchbay.router.canary.plan import MetricConfig, PlanConfig, StepConfig
from tests.fakes.canary_records import canary_record

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
NOON_S = NOON.timestamp()
ERRORS = MetricConfig(tolerated=1.5, most=0.3, margin=2.5)
PLAN = PlanConfig(
    steps=(StepConfig(weight=10, hold_s=30, samples=20), StepConfig(weight=50, hold_s=60, samples=40)),
    metrics={"errors": ERRORS},
    max_s=600,
)


def planned(**changes: Any) -> PlanConfig:
    """The plan with other values, checked as a configuration is."""
    return PlanConfig.model_validate({**PLAN.model_dump(), **changes})


def ledger(*counts: Counts, plan: PlanConfig = PLAN) -> Ledger:
    """The ledger after looks with these counts."""
    made = Ledger.opened(plan)
    for one in counts:
        made = made.after(plan, one)
    return made


def counted(canary: int = 0, other: int = 0, errors: tuple[int, int] = (0, 0), share: float = 0.5) -> Counts:
    """Counts of one look."""
    return Counts(share=share, canary=canary, other=other, bad={"errors": errors} if any(errors) else {})


def place(step: int = 0, **changes: Any) -> PlanPosition:
    """A place in the plan, begun at noon."""
    made = PlanPosition(step=step, began_s=NOON_S, step_s=NOON_S, samples=0)
    return replace(made, **changes)


def record(**changes: Any) -> CanaryRecord:
    """A canary that has run since noon in its first step."""
    own = {"id": 7, "number": 4, "baseline": 3, "reason": "10% of callers", "looks": 5, "actor": "ann"}
    return canary_record(NOON, **{**own, "plan": PLAN.model_dump(mode="json"), **changes})
