"""A canary told as an incident: what was seen, on how many requests, at what cost, and a plot of the evidence. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from adapters.registry.canary_records import CanaryRecord, Look

# How many looks a report and its plot are made from.
TOLD_LOOKS = 1000
_WIDTH, _HEIGHT, _EDGE = 720, 300, 48
_COLOURS = ("#c0392b", "#2471a3", "#1e8449", "#8e44ad", "#b9770e", "#34495e", "#17a589", "#7b241c")


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


def markdown(told: Mapping[str, Any], plot: str | None) -> str:
    """The summary for people. `plot`: the plot's file name."""
    bad = [
        f"| {name} | {pair['canary']} | {pair['others']} |" for name, pair in told["bad"].items() if any(pair.values())
    ]
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
    lines += ["", "| bad | the canary's | others' |", "|---|---|---|", *(bad or ["| nothing | 0 | 0 |"])]
    if plot is not None:
        lines += ["", f"![The evidence against the canary, as a share of what rolls it back]({plot})"]
    again = f"`patchbay canary replay {told['canary']}` makes every verdict again;"
    return "\n".join(
        [*lines, "", f"{again} `patchbay adapters audit --subject {told['revision']}` has who did what.", ""]
    )


def _period(told: Mapping[str, Any]) -> str:
    if told["seconds"] is None:
        return f"since {told['running_since']}" if told["running_since"] else "never"
    return f"for {told['seconds']:.0f} s, until {told['ended_at']}"


def curves(looks: Sequence[Look]) -> dict[str, list[tuple[int, float]]]:
    """The evidence by metric: pairs of the canary's requests so far, and the share of what rolls it back."""
    found: dict[str, list[tuple[int, float]]] = {}
    for look in looks:
        for metric, share in look.verdict.get("evidence", {}).items():
            found.setdefault(metric, [(0, 0.0)]).append((look.verdict["requests"][0], share))
    return found


def plot(record: CanaryRecord, looks: Sequence[Look]) -> str:
    """The evidence against the canary over its requests, as an SVG of 720 by 300."""
    lines = curves(looks)
    most = max((points[-1][0] for points in lines.values()), default=0) or 1
    top = max(1.15, *(share for points in lines.values() for _, share in points)) if lines else 1.15
    shown = sorted(lines.items(), key=lambda one: -max(share for _, share in one[1]))[: len(_COLOURS)]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}" font-family="sans-serif" '
        'font-size="12">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
        f'<text x="{_EDGE}" y="20" font-size="14">{record.name} against {record.stable_name}: {_phase(record)}</text>',
        _line([(0, 1.0), (most, 1.0)], most, top, "#888", dashed=True),
        f'<text x="{_EDGE + 4}" y="{_y(1.0, top) - 4:.1f}" fill="#666">rolled back here</text>',
        _line([(0, 0.0), (most, 0.0)], most, top, "#888"),
        f'<text x="{_WIDTH - _EDGE}" y="{_HEIGHT - 16}" text-anchor="end" fill="#666">'
        f"{most} requests of the canary</text>",
    ]
    for place, (metric, points) in enumerate(shown):
        colour = _COLOURS[place]
        parts.append(_line(points, most, top, colour))
        parts.append(f'<text x="{_WIDTH - _EDGE - 96}" y="{44 + 15 * place}" fill="{colour}">{metric}</text>')
    return "\n".join([*parts, "</svg>", ""])


def _phase(record: CanaryRecord) -> str:
    return record.phase.replace("_", " ")


def _line(points: Sequence[tuple[int, float]], most: int, top: float, colour: str, *, dashed: bool = False) -> str:
    path = " ".join(f"{_EDGE + (_WIDTH - 2 * _EDGE) * x / most:.1f},{_y(y, top):.1f}" for x, y in points)
    dash = ' stroke-dasharray="6 4"' if dashed else ""
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.6"{dash}/>'


def _y(share: float, top: float) -> float:
    return _HEIGHT - _EDGE + 8 - (_HEIGHT - 2 * _EDGE) * min(share, top) / top
