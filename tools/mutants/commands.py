"""The command behind `make mutants`: tries mutants of rooms, and prints who noticed, as a table or JSON."""

import json
import sys
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from tools.mutants.figures import MutantFigures
from tools.mutants.room import SUITES, read_room
from tools.mutants.trial import Wish, try_room

# Lists of survivors are read in a file or a pager.
_WIDTH = 160
ROOMS = ("router/canary", "router/admission", "router/carry", "router/balance", "guards/stream")


def try_rooms(  # noqa: PLR0913 - Typer makes an option of each parameter
    rooms: Annotated[list[str] | None, typer.Argument(help="Folders, or files in them. Five rooms by default.")] = None,
    *,
    sample: Annotated[int, typer.Option(help="How many mutants of each room to try; 0 tries all.")] = 100,
    seed: Annotated[int, typer.Option(help="The seed of the draw.")] = 1,
    slowest: Annotated[float, typer.Option(help="Seconds of CPU time under watch; slower tests are left out.")] = 1.0,
    tests: Annotated[list[str] | None, typer.Option(help="Folders of tests; by default unit and property.")] = None,
    at_least: Annotated[float, typer.Option(help="Exit with 1 where a room's share is below this.")] = 0.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of a table.")] = False,
) -> None:
    """Changes the code of each room in memory, one spot at a time, and runs the room's own tests against each change.
    Prints how many were noticed, and those that were not. Exit codes: 0, or 1 where a room is below --at-least.

    Example: python -m tools.mutants router/carry --sample 50 --seed 2
    """
    wish = Wish(sample=sample or None, seed=seed, slowest_s=slowest)
    progress = Console(stderr=True, soft_wrap=True, highlight=False, markup=False, emoji=False)
    found = [try_room(read_room(room, suites=tests or SUITES), wish, progress.print) for room in rooms or ROOMS]
    if as_json:
        typer.echo(json.dumps([_told(one) for one in found], indent=2))
    else:
        _print(found)
    raise typer.Exit(int(any(one.share < at_least for one in found)))


def main() -> None:
    """Runs the command."""
    sys.dont_write_bytecode = True
    typer.run(try_rooms)


def _told(figures: MutantFigures) -> dict[str, object]:
    return {**asdict(figures), "tried": figures.tried, "share": figures.share, "interval": figures.interval}


def _print(found: list[MutantFigures]) -> None:
    console = Console(soft_wrap=True, highlight=False, width=_WIDTH)
    heads = ("room", "mutants", "tried", "killed", "timed out", "survived", "share killed", "95% interval")
    table = Table(*heads, title="Mutants", title_justify="left")
    for one in found:
        low, high = one.interval
        counts = map(str, (one.possible, one.tried, one.killed, one.timed_out, one.survived))
        table.add_row(one.room, *counts, f"{one.share:.1%}", f"{low:.1%} to {high:.1%}")
    console.print(table)
    for one in found:
        for survivor in one.survivors:
            console.print(survivor, markup=False, emoji=False)
