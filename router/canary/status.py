"""The status of a canary, as the commands `status` and `watch` and the admin API show it. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from patchbay.registry.canary_records import CanaryRecord, Look
from patchbay.router.canary.judge import UNDECIDED
from patchbay.router.canary.phases import NO_DATA


def standing(record: CanaryRecord, looks: Sequence[Look]) -> dict[str, Any]:
    """Returns the status as JSON: share, requests, evidence by metric (1 rolls it back), and what it waits for.

    `looks`: the last one that judged the evidence is enough.
    """
    last = next((dict(look.verdict) for look in reversed(looks) if "requests" in look.verdict), {})
    canary, others = last.get("requests", (0, 0))
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
        "more": last.get("more") if record.live else None,
        "paused_by": record.paused_by,
        "says": _says(record, last),
    }


def _says(record: CanaryRecord, last: Mapping[str, Any]) -> str:
    if record.phase == "paused":
        paused = f"paused by {record.paused_by}"
        return f"{paused}; {record.reason}" if record.reason.startswith(NO_DATA) else paused
    if record.phase != "running" or record.reason.startswith((NO_DATA, UNDECIDED)):
        return record.reason
    if not last.get("requests", (0,))[0] and record.weight > 0:
        return "no request has reached it yet, so there is nothing to judge"
    return str(last.get("reason", record.reason))
