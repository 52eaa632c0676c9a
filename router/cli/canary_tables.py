"""How canaries are shown on a terminal, of whatever width: tables where they fit, else lines. Pure."""

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
# What stands beside a bar: the metric's name, a percentage, two counts, and what is between them.
_BESIDE_A_BAR = 42
# Below it a table of canaries would fold every word.
_TABLE_WIDTH = 100
_COLOURS = {"promoted": "green", "rolled_back": "red", "rolling_back": "red", "failed": "red"}


def drawn(told: Mapping[str, Any], width: int) -> "RenderableType":
    """A canary's standing, `width` columns wide: a bar a metric, up to what rolls it back."""
    from rich.console import Group
    from rich.text import Text

    more = f" (about {told['more']} more of its requests)" if told["more"] else ""
    bars = (Text(_BARS_ARE), _bars(told, width)) if told["evidence"] else ()
    return Group(*_head(told), *bars, Text(f"{told['says']}{more}"))


def overview(told: Sequence[Mapping[str, Any]], width: int) -> "RenderableType":
    """Canaries that are under way."""
    from rich.console import Group
    from rich.text import Text

    if width < _TABLE_WIDTH:
        parts = [(*_head(one), Text(f"{_most(one) or 'no evidence against it'}; {one['says']}")) for one in told]
        return Group(*(line for lines in parts for line in (*lines, Text())))
    heads = ("id", "revision", "against", "phase", "share", "its requests", "others'", "most evidence", "says")
    return table("Canaries", heads, [_row(one) for one in told])


def past(found: Sequence["CanaryRecord"], width: int) -> "RenderableType":
    """Canaries as they ended."""
    from rich.console import Group
    from rich.padding import Padding
    from rich.text import Text

    if width < _TABLE_WIDTH:
        lines: list[RenderableType] = []
        for one in found:
            ended = f" to {moment(one.ended_at)}" if one.ended_at else ""
            head = f"{one.id}  {one.name} against {one.stable_name}  "
            lines += [Text.assemble(head, _phase(one.phase)), Text(f"   {moment(one.created_at)}{ended}", "dim")]
            lines += [Padding(Text(one.reason), (0, 0, 1, 3))]
        return Group(*lines)
    heads = ("id", "revision", "against", "began", "ended", "phase", "why")
    rows = [
        (
            one.id,
            one.name,
            one.stable_name,
            moment(one.created_at),
            moment(one.ended_at),
            _phase(one.phase)[0],
            one.reason,
        )
        for one in found
    ]
    return table("Canaries", heads, rows)


def _head(told: Mapping[str, Any]) -> "tuple[Text, Text]":
    from rich.text import Text

    names = Text.assemble((f"{told['revision']} ", "bold"), f"against {told['against']}  ", _phase(told["phase"]))
    counts = f"{told['requests']['canary']} of its requests, {told['requests']['others']} of others"
    return names, Text(f"{_share(told)}: {counts}")


def _bars(told: Mapping[str, Any], width: int) -> "RenderableType":
    from rich.table import Table
    from rich.text import Text

    length = max(_SHORTEST_BAR, min(_LONGEST_BAR, width - _BESIDE_A_BAR))
    bars = Table(box=None, show_header=True, pad_edge=False)
    bars.add_column("metric", no_wrap=True)
    bars.add_column("", no_wrap=True)
    for name in ("", "its bad", "others'"):
        bars.add_column(name, justify="right", no_wrap=True)
    for name, share in sorted(told["evidence"].items(), key=lambda one: -one[1]):
        own, others = told["bad"].get(name, (0, 0))
        bars.add_row(Text(name), _bar(share, length), f"{share:.0%}", str(own), str(others))
    return bars


def _bar(share: float, length: int) -> "Text":
    """A bar that is full, and reaches its threshold, at a share of 1."""
    from rich.text import Text

    filled = min(length, int(share * length))
    colour = "red" if share >= 1 else "yellow" if share >= 0.5 else "green"
    return Text.assemble(("━" * filled, colour), ("─" * (length - filled), "dim"), (_THRESHOLD, "bold"))


def _phase(phase: str) -> tuple[str, str]:
    return phase.replace("_", " "), _COLOURS.get(phase, "yellow")


def _share(told: Mapping[str, Any]) -> str:
    return "all callers" if told["phase"] == "promoted" else f"{told['weight']:g}% of callers"


def _most(told: Mapping[str, Any]) -> str | None:
    """What there is most evidence of, None where there is none."""
    worst = max(told["evidence"].items(), key=lambda one: one[1], default=("", 0.0))
    return f"{worst[0]} {worst[1]:.0%}" if worst[1] > 0 else None


def _row(told: Mapping[str, Any]) -> tuple[object, ...]:
    counts = told["requests"]
    return (
        *(told[name] for name in ("id", "revision", "against")),
        _phase(told["phase"])[0],
        f"{told['weight']:g}%",
        counts["canary"],
        counts["others"],
        _most(told),
        told["says"],
    )
