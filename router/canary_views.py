"""`patchbay canary status`, `watch`, `history`, `replay`, `report`: how canaries stand and stood."""

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from adapters.commands.desk import AsJson, Config, Desk, opened
from router.canary_moves import live_canary

if TYPE_CHECKING:
    from rich.console import RenderableType

    from adapters.registry.canary_records import CanaryRecord, Look
    from router.canary.plan import PlanConfig

_BAR = 40
_LOOK_S = 0.5
_Id = Annotated[int, typer.Argument(metavar="ID", help="The canary's number (patchbay canary history).")]


def status(
    name: Annotated[str | None, typer.Argument(metavar="[ADAPTER]", help="One adapter's, else all.")] = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Shows the canaries that are under way: share, requests, evidence, and what they wait for.

    Example: patchbay canary status sql
    """
    from adapters.commands.output import console, print_json, table

    with opened(config) as desk:
        found = [one for one in desk.registry.canaries.history(name) if one.live]
        seen = desk.registry.canaries.judged(*(record.id for record in found))
        told = [_standing(record, seen) for record in found]
        if as_json:
            print_json(told)
            return
        if not found:
            typer.echo("There is no canary under way. Start one: patchbay canary start NAME@R")
            return
        heads = ("id", "revision", "against", "phase", "share", "its requests", "others'", "most evidence", "says")
        console().print(table("Canaries", heads, [_row(one) for one in told]))


def watch(
    name: Annotated[str, typer.Argument(metavar="ADAPTER", help="The adapter, or the canary's number.")],
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Draws the evidence against its threshold, live, until the canary has ended. Exits with 1 where it was not
    promoted.

    Example: patchbay canary watch sql
    """
    from rich.live import Live

    from adapters.commands.output import console, print_json

    with opened(config) as desk:
        canary = _last(desk, name)
        last: dict[str, Any] = {}
        shown = console()
        with Live(console=shown, refresh_per_second=4, transient=False) as live:
            for told in _standings(desk, canary):
                last = told
                if as_json:
                    live.stop()
                    print_json(told)
                elif shown.is_terminal:
                    live.update(drawn(told))
        if not as_json and not shown.is_terminal:
            shown.print(drawn(last))
    if last["phase"] != "promoted":
        raise typer.Exit(1)


def history(
    name: Annotated[str | None, typer.Argument(metavar="[ADAPTER]", help="One adapter's, else all.")] = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Lists canaries, the newest first.

    Example: patchbay canary history sql
    """
    from adapters.commands.output import console, moment, print_json, table

    with opened(config) as desk:
        found = desk.registry.canaries.history(name)
        if as_json:
            print_json(found)
            return
        heads = ("id", "revision", "against", "began", "ended", "phase", "why")
        rows = [
            (one.id, one.name, one.stable_name, moment(one.created_at), moment(one.ended_at), one.phase, one.reason)
            for one in found
        ]
        console().print(table("Canaries", heads, rows))


def replay(canary: _Id, config: Config = None, as_json: AsJson = False) -> None:
    """Makes every verdict on a canary again from what it was judged by. Exits with 1 where one comes out another.

    Example: patchbay canary replay 3
    """
    from adapters.commands.output import console, print_json, table
    from router.canary.replay import replayed

    with opened(config) as desk:
        record = desk.registry.canaries.get(canary)
        found = list(replayed(_plan_of(record), desk.registry.canaries.looks(canary)))
    rows = [
        (one.look.number, one.again["kind"], one.again["requests"][0], one.again["reason"], one.same) for one in found
    ]
    if as_json:
        print_json([dict(zip(("look", "kind", "requests", "reason", "same"), row, strict=True)) for row in rows])
    else:
        told = [(*row[:4], "yes" if row[4] else "NO") for row in rows]
        heads = ("look", "verdict", "its requests", "because", "same")
        console().print(table(f"Canary {canary}: {record.name} against {record.stable_name}", heads, told))
        typer.echo(f"{sum(one.same for one in found)} of {len(found)} verdicts come out the same, bit for bit.")
    if not all(one.same for one in found):
        raise typer.Exit(1)


def report(
    canary: _Id,
    out: Annotated[Path, typer.Option("--out", help="The folder that the report's own is made in.")] = Path(),
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Writes the summary of a canary: Markdown, JSON, and a plot of the evidence.

    Example: patchbay canary report 3 --out incidents
    """
    from adapters.commands.output import print_json
    from router.canary.files import write_incident
    from router.canary.incident import TOLD_LOOKS, summary

    with opened(config) as desk:
        record = desk.registry.canaries.get(canary)
        looks = desk.registry.canaries.thinned(canary, TOLD_LOOKS)
        folder = write_incident(out, record, looks)
        if as_json:
            print_json({**summary(record, looks), "folder": str(folder)})
        else:
            typer.echo(f"{folder / 'summary.md'}")


def drawn(told: dict[str, Any]) -> "RenderableType":
    """A canary's standing as a drawing: a bar a metric, up to what rolls it back."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    head = Text.assemble(
        (f"{told['revision']} ", "bold"),
        f"against {told['against']}   ",
        (told["phase"].replace("_", " "), _COLOURS.get(told["phase"], "yellow")),
        f"   {_share(told)}   {told['requests']['canary']} of its requests, {told['requests']['others']} of others",
    )
    bars = Table(box=None, show_header=True, pad_edge=False)
    for column in ("metric", "evidence that it is worse", "", "its bad", "others'"):
        bars.add_column(column)
    for name, share in sorted(told["evidence"].items(), key=lambda one: -one[1]):
        filled = min(_BAR, round(share * _BAR))
        colour = "red" if share >= 1 else "yellow" if share >= 0.5 else "green"
        bar = Text.assemble(("━" * filled, colour), ("─" * (_BAR - filled), "dim"), ("┃", "bold"))
        own, others = told["bad"].get(name, (0, 0))
        bars.add_row(name, bar, f"{share:.0%}", str(own), str(others))
    more = f"  (about {told['more']} more of its requests)" if told.get("more") else ""
    return Group(head, bars, Text(f"{told['says']}{more}"))


def _share(told: dict[str, Any]) -> str:
    if told["phase"] == "promoted":
        return "all callers"
    return f"{told['weight']:g}% of callers"


_COLOURS = {"promoted": "green", "rolled_back": "red", "rolling_back": "red", "failed": "red"}


def _last(desk: Desk, name: str) -> int:
    """The canary to be watched: the one with that number, else the last one, which may be over by now."""
    if name.isdecimal():
        return desk.registry.canaries.get(int(name)).id
    found = desk.registry.canaries.history(name.partition("@")[0], limit=1)
    return found[0].id if found else live_canary(desk, name).id


def _standings(desk: Desk, canary: int) -> Iterator[dict[str, Any]]:
    """How a canary stands, whenever that has changed, to its end."""
    before: dict[str, Any] = {}
    while True:
        record = desk.registry.canaries.get(canary)
        told = _standing(record, desk.registry.canaries.judged(canary))
        if told != before:
            yield told
        before = told
        if not record.live:
            return
        time.sleep(_LOOK_S)


def _standing(record: "CanaryRecord", seen: Mapping[int, "Look"]) -> dict[str, Any]:
    from router.canary.standing import standing

    return standing(record, [seen[record.id]] if record.id in seen else [])


def _row(told: dict[str, Any]) -> tuple[object, ...]:
    worst = max(told["evidence"].items(), key=lambda one: one[1], default=("", 0.0))
    most = f"{worst[0]} {worst[1]:.0%}" if worst[1] > 0 else None
    counts = told["requests"]
    return (
        *(told[name] for name in ("id", "revision", "against", "phase")),
        f"{told['weight']:g}%",
        counts["canary"],
        counts["others"],
        most,
        told["says"],
    )


def _plan_of(record: "CanaryRecord") -> "PlanConfig":
    from router.canary.config import plan_of

    return plan_of(dict(record.plan), record.id)
