"""How a canary stands, as status and watch tell it. Pure."""

from collections.abc import Sequence
from typing import Any

from adapters.registry.canary_records import CanaryRecord, Look
from router.canary.conduct import NO_DATA


def standing(record: CanaryRecord, looks: Sequence[Look]) -> dict[str, Any]:
    """As JSON: share, requests, evidence by metric (1 rolls it back), and what it waits for."""
    last = next((dict(look.verdict) for look in reversed(looks) if "requests" in look.verdict), {})
    canary, others = last.get("requests", (0, 0))
    says = record.reason
    if record.phase in ("running", "paused") and not record.reason.startswith(NO_DATA):
        says = last["reason"] if canary else "no request has reached it yet, so there is nothing to judge"
    return {
        "id": record.id,
        "revision": record.name,
        "against": record.stable_name,
        "phase": record.phase,
        "step": record.step,
        "weight": record.weight,
        "requests": {"canary": canary, "others": others},
        "bad": last.get("bad", {}),
        "evidence": last.get("evidence", {}),
        "seen": last.get("seen"),
        "more": last.get("more"),
        "says": says,
    }
