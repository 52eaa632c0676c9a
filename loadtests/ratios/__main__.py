"""The ratios' command line."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from loadtests.ratios.asking import Load
from loadtests.ratios.ways import Figure, Measured, repetition, running_stack, steps, summed
from patchbay.adapters.commands.output import console, table
from patchbay.core.errors import PatchbayError
from patchbay.core.exit_codes import fail

_HEADS = ("ratio", "median", "least to most", "of", "by")


def run(
    repetitions: Annotated[int, typer.Option(min=1, help="Turns of everything; the median of them counts.")] = 5,
    seconds: Annotated[float, typer.Option(min=1, help="Of each measurement of throughput.")] = 3,
    streams: Annotated[int, typer.Option(min=1, help="Streams at a time.")] = 16,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the table of docs/performance.md.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Starts a stack, measures both sides of each ratio on it in turn, and prints the ratios.

    Example: python -m loadtests.ratios --repetitions 5
    """
    try:
        measured = _measured(repetitions, Load(streams=streams, seconds=seconds))
    except PatchbayError as error:
        raise typer.Exit(fail(error)) from error
    figures = summed(measured)
    if as_json:
        document = {"ratios": [asdict(figure) for figure in figures], "repetitions": measured}
        sys.stdout.write(json.dumps(document) + "\n")
    elif markdown:
        sys.stdout.write(as_markdown(figures))
    else:
        title = f"Median of {repetitions} repetitions, {streams} streams"
        console().print(table(title, _HEADS, [row(figure) for figure in figures]))


def _measured(repetitions: int, load: Load) -> list[Measured]:
    with Progress(console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("starting", total=None)
        with running_stack() as stack:
            progress.update(bar, total=repetitions * len(steps(stack, load)))

            def tell(what: str) -> None:
                progress.update(bar, description=what, advance=1)

            return [repetition(stack, load, turn, tell) for turn in range(repetitions)]


def row(figure: Figure) -> tuple[str, ...]:
    """A ratio for people."""
    digits = 0 if figure.unit == "tokens/s" else 1
    sides = (f"{side:.{digits}f} {figure.unit}" for side in (figure.of, figure.by))
    return (figure.name, f"{figure.median:.2f}", f"{figure.least:.2f} to {figure.most:.2f}", *sides)


def as_markdown(figures: Sequence[Figure]) -> str:
    """The table for a page."""
    rows = [_HEADS, ("---",) * len(_HEADS), *(row(figure) for figure in figures)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in rows)


if __name__ == "__main__":
    typer.run(run)
