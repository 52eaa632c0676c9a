"""A canary's record as the registry keeps it, for tests that need one without a registry."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from patchbay.registry.canary_records import CanaryRecord


def canary_record(at: datetime, **changes: Any) -> CanaryRecord:
    """The record of a canary of `sql@2` against `sql@1`, begun `at` that time, running in its first step."""
    made = CanaryRecord(
        id=1,
        adapter="sql",
        number=2,
        baseline=1,
        plan={},
        phase="running",
        reason="",
        step=0,
        weight=10.0,
        passed=False,
        samples=0,
        version=1,
        looks=1,
        rollout=None,
        cut=False,
        actor="ml",
        why=None,
        created_at=at,
        updated_at=at,
        began_at=at,
        step_at=at,
    )
    return replace(made, **changes)
