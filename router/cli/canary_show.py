"""The commands `patchbay canary status`, `watch`, `history`, `replay` and `report`, which show canaries."""

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from patchbay.adapters.commands.session import AsJson, Config, Session, opened
from patchbay.router.cli.canary_decide import live_canary
from patchbay.router.cli.canary_tables import drawn, overview, past

if TYPE_CHECKING:
    from patchbay.registry.canary_records import CanaryRecord, Look
    from patchbay.router.canary.plan import PlanConfig

_LOOK_S = 0.5
_Id = Annotated[int, typer.Argument(metavar="ID", help="The canary's number (patchbay canary history).")]


def status(
    name: Annotated[
        str | None,
        typer.Argument(metavar="[ADAPTER]", help="Only this adapter's or pool's canary, or the canary of this number."),
    ] = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Shows the canaries under way: share, requests, evidence, and what they wait for.

    Example: patchbay canary status sql
    """
    from patchbay.adapters.commands.output import console, print_json

    with opened(config) as session:
        found = _under_way(session, name)
        seen = session.registry.canaries.judged(*(record.id for record in found))
        standings = [_standing(record, seen) for record in found]
    if as_json:
        print_json(standings)
        return
    if not found:
        of_it = f" of {name}" if name else ""
        typer.echo(f"There is no canary{of_it} under way. Start one: patchbay canary start NAME@R")
        return
    shown = console()
    shown.print(overview(standings, shown.width))


def watch(
    name: Annotated[str, typer.Argument(metavar="ADAPTER", help="The adapter or pool, or the canary's number.")],
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Draws the evidence live until the canary has ended. With --json it prints one document per change, each on a
    line. Exit code 1: the canary was not promoted.

    Example: patchbay canary watch sql
    """
    with opened(config) as session:
        standings = _standings(session, _last(session, name))
        last = _watched_by_programs(standings) if as_json else _watched_by_people(standings)
    if last["phase"] != "promoted":
        raise typer.Exit(1)


def _watched_by_programs(standings: Iterator[dict[str, Any]]) -> dict[str, Any]:
    """Prints each standing, and returns the last."""
    from patchbay.adapters.commands.output import print_json_line

    last: dict[str, Any] = {}
    for last in standings:
        print_json_line(last)
    return last


def _watched_by_people(standings: Iterator[dict[str, Any]]) -> dict[str, Any]:
    """Draws each standing in place of the one before, and returns the last. Off a terminal only the last is drawn."""
    from rich.live import Live

    from patchbay.adapters.commands.output import console

    last, shown = {}, console()
    if not shown.is_terminal:
        *_, last = standings
        shown.print(drawn(last, shown.width))
        return last
    with Live(console=shown, refresh_per_second=4, transient=False) as live:
        for last in standings:
            live.update(drawn(last, shown.width))
    return last


def history(
    name: Annotated[
        str | None, typer.Argument(metavar="[ADAPTER]", help="Only this adapter's or pool's canaries.")
    ] = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Lists canaries, the newest first: those under way, and the last hundred that have ended.

    Example: patchbay canary history sql
    """
    from patchbay.adapters.commands.output import console, print_json

    with opened(config) as session:
        found = _known(session, name)
    if as_json:
        print_json(found)
        return
    shown = console()
    shown.print(past(found, shown.width))


def replay(canary: _Id, config: Config = None, as_json: AsJson = False) -> None:
    """Makes every verdict on a canary again from the stored counts. Exit code 1: a verdict differs.

    Example: patchbay canary replay 3
    """
    from patchbay.adapters.commands.output import console, print_json, table
    from patchbay.router.canary.replay import replayed

    with opened(config) as session:
        record = session.registry.canaries.get(canary)
        found = list(replayed(_plan_of(record), session.registry.canaries.looks(canary)))
    rows = [
        (
            verdict.look.number,
            verdict.again["kind"],
            verdict.again["requests"][0],
            verdict.again["reason"],
            verdict.same,
        )
        for verdict in found
    ]
    if as_json:
        print_json([dict(zip(("look", "kind", "requests", "reason", "same"), row, strict=True)) for row in rows])
    else:
        shown = [(*row[:4], "yes" if row[4] else "NO") for row in rows]
        heads = ("look", "verdict", "its requests", "because", "same")
        console().print(table(f"Canary {canary}: {record.name} against {record.stable_name}", heads, shown))
        same = sum(verdict.same for verdict in found)
        typer.echo(f"{same} of {len(found)} verdicts come out the same, bit for bit.")
    if not all(verdict.same for verdict in found):
        raise typer.Exit(1)


def report(
    canary: _Id,
    out: Annotated[Path, typer.Option("--out", help="The folder to make the report's folder in.")] = Path(),
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Writes the report of a canary: Markdown, JSON, and a plot of the evidence.

    Example: patchbay canary report 3 --out incidents
    """
    from patchbay.adapters.commands.output import print_json
    from patchbay.router.canary.incident import TOLD_LOOKS, summary
    from patchbay.router.canary.report_files import write_incident

    with opened(config) as session:
        record = session.registry.canaries.get(canary)
        looks = session.registry.canaries.thinned(canary, TOLD_LOOKS)
        folder = write_incident(out, record, looks)
        if as_json:
            print_json({**summary(record, looks), "folder": str(folder)})
        else:
            typer.echo(f"{folder / 'summary.md'}")


def _under_way(session: Session, name: str | None) -> "Sequence[CanaryRecord]":
    """Returns the canaries that have not ended, or the one of that number, ended or not. Raises NotFound."""
    if name is not None and name.isdecimal():
        return (session.registry.canaries.get(int(name)),)
    return [record for record in _known(session, name) if record.live]


def _known(session: Session, name: str | None) -> "Sequence[CanaryRecord]":
    """Returns the canaries of an adapter or of a pool, or all. Raises NotFound where there is neither such an adapter
    nor a canary of such a pool."""
    from patchbay.core.errors import NotFound

    subject = name.partition("@")[0] if name is not None else None
    found = session.registry.canaries.history(subject)
    if subject is not None and not found:
        try:
            session.registry.revisions(subject)
        except NotFound as error:
            raise NotFound(f"{error.message} There was no canary of such a pool either.", hint=error.hint) from error
    return found


def _last(session: Session, name: str) -> int:
    """Returns the id of the canary to watch: the one with that number, else the last one, which may have ended."""
    if name.isdecimal():
        return session.registry.canaries.get(int(name)).id
    found = session.registry.canaries.history(name.partition("@")[0], limit=1)
    return found[0].id if found else live_canary(session, name).id


def _standings(session: Session, canary: int) -> Iterator[dict[str, Any]]:
    """Yields the canary's standing whenever it changes, until the canary ends."""
    before: dict[str, Any] = {}
    while True:
        record = session.registry.canaries.get(canary)
        now = _standing(record, session.registry.canaries.judged(canary))
        if now != before:
            yield now
        before = now
        if not record.live:
            return
        time.sleep(_LOOK_S)


def _standing(record: "CanaryRecord", seen: Mapping[int, "Look"]) -> dict[str, Any]:
    from patchbay.router.canary.status import standing

    return standing(record, [seen[record.id]] if record.id in seen else [])


def _plan_of(record: "CanaryRecord") -> "PlanConfig":
    from patchbay.router.canary.config import plan_of

    return plan_of(dict(record.plan), record.id)
