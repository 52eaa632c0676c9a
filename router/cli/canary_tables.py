"""Tables and bars of canaries for terminals of any width: tables where they fit, else lines. Pure."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from patchbay.adapters.commands.output import moment, table

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

    from patchbay.registry.canary_records import CanaryRecord

_LONGEST_BAR, _SHORTEST_BAR = 40, 10
_THRESHOLD = "┃"
_BARS_ARE = "Evidence that it is worse; at ┃ it is rolled back:"
# The columns beside a bar: the metric's name, a percentage, two counts, and the space between them.
_BESIDE_A_BAR = 42
# On a narrower terminal a table of canaries would fold every word.
_TABLE_WIDTH = 100
_COLOURS = {"promoted": "green", "rolled_back": "red", "rolling_back": "red", "failed": "red"}


def drawn(standing: Mapping[str, Any], width: int) -> "RenderableType":
    """Draws a canary's standing, `width` columns wide: one bar per metric, up to the evidence that rolls it back."""
    from rich.console import Group
    from rich.text import Text

    more = f" (about {standing['more']} more of its requests)" if standing["more"] else ""
    bars = (Text(_BARS_ARE), _bars(standing, width)) if standing["evidence"] else ()
    return Group(*_head(standing), *bars, Text(f"{standing['says']}{more}"))


def overview(standings: Sequence[Mapping[str, Any]], width: int) -> "RenderableType":
    """Lists the canaries under way, `width` columns wide."""
    from rich.console import Group
    from rich.text import Text

    if width < _TABLE_WIDTH:
        parts = [
            (*_head(standing), Text(f"{_most(standing) or 'no evidence against it'}; {standing['says']}"))
            for standing in standings
        ]
        return Group(*(line for lines in parts for line in (*lines, Text())))
    heads = ("id", "revision", "against", "phase", "share", "its requests", "others'", "most evidence", "says")
    return table("Canaries", heads, [_row(standing) for standing in standings])


def past(found: Sequence["CanaryRecord"], width: int) -> "RenderableType":
    """Lists canaries with their ends, `width` columns wide."""
    from rich.console import Group
    from rich.padding import Padding
    from rich.text import Text

    if width < _TABLE_WIDTH:
        lines: list[RenderableType] = []
        for record in found:
            ended = f" to {moment(record.ended_at)}" if record.ended_at else ""
            head = f"{record.id}  {record.name} against {record.stable_name}  "
            lines += [Text.assemble(head, _phase(record.phase)), Text(f"   {moment(record.created_at)}{ended}", "dim")]
            lines += [Padding(Text(record.reason), (0, 0, 1, 3))]
        return Group(*lines)
    heads = ("id", "revision", "against", "began", "ended", "phase", "why")
    rows = [
        (
            record.id,
            record.name,
            record.stable_name,
            moment(record.created_at),
            moment(record.ended_at),
            _phase(record.phase)[0],
            record.reason,
        )
        for record in found
    ]
    return table("Canaries", heads, rows)


def _head(standing: Mapping[str, Any]) -> "tuple[Text, Text]":
    from rich.text import Text

    names = Text.assemble(
        (f"{standing['revision']} ", "bold"), f"against {standing['against']}  ", _phase(standing["phase"])
    )
    counts = f"{standing['requests']['canary']} of its requests, {standing['requests']['others']} of others"
    return names, Text(f"{_share(standing)}: {counts}")


def _bars(standing: Mapping[str, Any], width: int) -> "RenderableType":
    from rich.table import Table
    from rich.text import Text

    length = max(_SHORTEST_BAR, min(_LONGEST_BAR, width - _BESIDE_A_BAR))
    bars = Table(box=None, show_header=True, pad_edge=False)
    bars.add_column("metric", no_wrap=True)
    bars.add_column("", no_wrap=True)
    for name in ("", "its bad", "others'"):
        bars.add_column(name, justify="right", no_wrap=True)
    for name, share in sorted(standing["evidence"].items(), key=lambda entry: -entry[1]):
        own, others = standing["bad"].get(name, (0, 0))
        bars.add_row(Text(name), _bar(share, length), f"{share:.0%}", str(own), str(others))
    return bars


def _bar(share: float, length: int) -> "Text":
    """Draws a bar that is full, and reaches its threshold, at a share of 1."""
    from rich.text import Text

    filled = min(length, int(share * length))
    colour = "red" if share >= 1 else "yellow" if share >= 0.5 else "green"
    return Text.assemble(("━" * filled, colour), ("─" * (length - filled), "dim"), (_THRESHOLD, "bold"))


def _phase(phase: str) -> tuple[str, str]:
    return phase.replace("_", " "), _COLOURS.get(phase, "yellow")


def _share(standing: Mapping[str, Any]) -> str:
    return "all callers" if standing["phase"] == "promoted" else f"{standing['weight']:g}% of callers"


def _most(standing: Mapping[str, Any]) -> str | None:
    """Names the metric with most evidence, None where there is none."""
    worst = max(standing["evidence"].items(), key=lambda entry: entry[1], default=("", 0.0))
    return f"{worst[0]} {worst[1]:.0%}" if worst[1] > 0 else None


def _row(standing: Mapping[str, Any]) -> tuple[object, ...]:
    counts = standing["requests"]
    return (
        *(standing[name] for name in ("id", "revision", "against")),
        _phase(standing["phase"])[0],
        f"{standing['weight']:g}%",
        counts["canary"],
        counts["others"],
        _most(standing),
        standing["says"],
    )
