"""The report of an ended canary: its outcome, the requests, and the evidence. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from patchbay.registry.canary_records import CanaryRecord, Look
from patchbay.router.canary.evidence_course import Point

# The number of looks that a report and its plot are made from.
TOLD_LOOKS = 1000


def summary(record: CanaryRecord, looks: Sequence[Look]) -> dict[str, Any]:
    """Returns the report as JSON. `looks`: those at the canary, in order."""
    judged = [look for look in looks if "requests" in look.verdict]
    last: Mapping[str, Any] = judged[-1].verdict if judged else {}
    deciding: Mapping[str, Any] = next((look.verdict for look in judged if look.verdict["kind"] == "roll_back"), {})
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
    """Returns the title of the canary's plot."""
    return f"Canary {record.id}: {record.name} against {record.stable_name}, {record.phase.replace('_', ' ')}"


def markdown(report: Mapping[str, Any], plot: str | None, course: Sequence[Point]) -> str:
    """Renders the report for people, as Markdown.

    `report`: what `summary` returned; `plot`: the plot's file name, None without one; `course`: the points that it
    shows.
    """
    counts = report["requests"]
    lines = [
        f"# Canary {report['canary']}: {report['revision']} was {report['outcome'].replace('_', ' ')}",
        "",
        f"- **Why**: {report['reason']}",
        f"- **Compared with**: {report['compared_with']}",
        f"- **Started**: {report['started_at']} by {report['started_by']}",
        f"- **Had requests**: {_period(report)}",
        f"- **Requests**: {counts['canary']} of the canary's callers, {counts['others']} of others",
    ]
    if report["metric"]:
        lines.append(
            f"- **Decided by**: {report['metric']}, evidence {report['evidence']:.4g} of {report['needed']:.4g} needed"
        )
    lines += ["", *_evidence_table(course)]
    if plot is not None:
        lines += ["", f"![The evidence that it is worse, and that it is no worse]({plot})"]
    again = f"`patchbay canary replay {report['canary']}` makes every verdict again;"
    return "\n".join(
        [*lines, "", f"{again} `patchbay adapters audit --subject {report['revision']}` has who did what.", ""]
    )


def _evidence_table(course: Sequence[Point]) -> list[str]:
    """Renders the last look at the evidence by metric; what speaks most against the canary comes first."""
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


def _period(report: Mapping[str, Any]) -> str:
    if report["seconds"] is None:
        return f"since {report['running_since']}" if report["running_since"] else "never"
    return f"for {report['seconds']:.0f} s, until {report['ended_at']}"
