"""A canary told as an incident: what was seen, on how many requests, and by what evidence. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from patchbay.registry.canary_records import CanaryRecord, Look
from patchbay.router.canary.evidence_course import Point

# How many looks a report and its plot are made from.
TOLD_LOOKS = 1000


def summary(record: CanaryRecord, looks: Sequence[Look]) -> dict[str, Any]:
    """The summary as JSON."""
    judged = [look for look in looks if "requests" in look.verdict]
    last: Mapping[str, Any] = judged[-1].verdict if judged else {}
    deciding: Mapping[str, Any] = next((one.verdict for one in judged if one.verdict["kind"] == "roll_back"), {})
    canary, other = last.get("requests", (0, 0))
    return {
        "canary": record.id,
        "revision": record.name,
        "compared_with": record.stable_name,
        "outcome": record.phase,
        "reason": record.reason,
        "started_by": record.actor,
        "started_at": record.created_at.isoformat(),
        "running_since": record.began_at.isoformat() if record.began_at else None,
        "ended_at": record.ended_at.isoformat() if record.ended_at else None,
        "seconds": (record.ended_at - record.began_at).total_seconds() if record.ended_at and record.began_at else None,
        "requests": {"canary": canary, "others": other},
        "bad": {name: {"canary": own, "others": rest} for name, (own, rest) in last.get("bad", {}).items()},
        "metric": deciding.get("metric"),
        "evidence": deciding.get("e"),
        "needed": deciding.get("needed"),
        "looks": record.looks,
    }


def title(record: CanaryRecord) -> str:
    """What its plot is called."""
    return f"Canary {record.id}: {record.name} against {record.stable_name}, {record.phase.replace('_', ' ')}"


def markdown(told: Mapping[str, Any], plot: str | None, course: Sequence[Point]) -> str:
    """The summary for people. `plot`: the plot's file name; `course`: what it shows."""
    lines = [
        f"# Canary {told['canary']}: {told['revision']} was {told['outcome'].replace('_', ' ')}",
        "",
        f"- **Why**: {told['reason']}",
        f"- **Compared with**: {told['compared_with']}",
        f"- **Started**: {told['started_at']} by {told['started_by']}",
        f"- **Had requests**: {_period(told)}",
        f"- **Requests**: {told['requests']['canary']} of the canary's callers, {told['requests']['others']} of others",
    ]
    if told["metric"]:
        lines.append(
            f"- **Decided by**: {told['metric']}, evidence {told['evidence']:.4g} of {told['needed']:.4g} needed"
        )
    lines += ["", *_evidence_table(course)]
    if plot is not None:
        lines += ["", f"![The evidence that it is worse, and that it is no worse]({plot})"]
    again = f"`patchbay canary replay {told['canary']}` makes every verdict again;"
    return "\n".join(
        [*lines, "", f"{again} `patchbay adapters audit --subject {told['revision']}` has who did what.", ""]
    )


def _evidence_table(course: Sequence[Point]) -> list[str]:
    """The last look at the evidence by metric, what speaks most against the canary first."""
    if not course:
        return ["No request was judged."]
    last = course[-1]
    names = sorted(last.worse, key=lambda name: (-last.worse[name], name))
    rows = [
        f"| {name} | {own} | {others} | {_share(last.worse[name])} | {_share(last.no_worse.get(name, 0.0))} |"
        for name in names
        for own, others in (last.bad.get(name, (0, 0)),)
    ]
    return [
        "| metric | the canary's bad | others' bad | that it is worse, of what rolls back | "
        "that it is no worse, of what promotes |",
        "|---|--:|--:|--:|--:|",
        *rows,
    ]


def _share(of_what_decides: float) -> str:
    """Evidence in percent: beyond what decides, more of it says nothing more."""
    return f"{of_what_decides:.0%}" if of_what_decides < 1 else "100%"


def _period(told: Mapping[str, Any]) -> str:
    if told["seconds"] is None:
        return f"since {told['running_since']}" if told["running_since"] else "never"
    return f"for {told['seconds']:.0f} s, until {told['ended_at']}"
