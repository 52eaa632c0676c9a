"""The paired benchmark of calls and stream chunks against another checkout of Patchbay, both running at one time.

They are asked in turns: `python -m loadtests.overhead.paired --help`. A machine that is shared gets faster and slower
by a quarter within minutes, and so do absolute figures. The ratio of two turns that follow each other does not.
"""

import statistics
import tempfile
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table

from loadtests.overhead.measure import CHUNKS, load
from loadtests.overhead.targets import FULL, TARGETS, Running, elsewhere, running, running_engine
from patchbay.core.errors import PatchbayError
from patchbay.core.exit_codes import fail

Kind = Literal["call", "chunk"]
_KINDS: tuple[Kind, ...] = ("call", "chunk")


def cost_us(router: Running, folder: Path, kind: Kind, seconds: int) -> float:
    """The microseconds of CPU that one call or chunk cost, in a turn of so many seconds."""
    count, cpu_s = load(router, folder, stream=kind == "chunk", seconds=seconds)
    return 1e6 * cpu_s / (count * (CHUNKS if kind == "chunk" else 1))


def run(
    against: Annotated[Path, typer.Option(exists=True, file_okay=False, help="Another checkout, with its .venv.")],
    rounds: Annotated[int, typer.Option(min=3, max=100, help="Pairs of turns, of each kind.")] = 20,
    seconds: Annotated[int, typer.Option(min=1, max=30, help="Of each turn.")] = 2,
) -> None:
    """Measures ratios of CPU time beside another checkout.

    Example: python -m loadtests.overhead.paired --against ../before
    """
    ours = next(target for target in TARGETS if target.name == FULL)
    found: dict[Kind, list[tuple[float, float]]] = {kind: [] for kind in _KINDS}
    with tempfile.TemporaryDirectory() as name, running_engine() as engine:
        folder = Path(name)
        with (
            running(ours, engine, folder / "here") as here,
            running(elsewhere(ours, against), engine, folder / "there") as there,
        ):
            for number in range(rounds):
                for kind in _KINDS:
                    turns = (here, there) if number % 2 == 0 else (there, here)
                    costs = {router.name: cost_us(router, folder, kind, seconds) for router in turns}
                    found[kind].append((costs[here.name], costs[there.name]))
    Console(width=110).print(_table(found, rounds))


def _table(found: dict[Kind, list[tuple[float, float]]], rounds: int) -> Table:
    title = f"CPU here over there, {rounds} pairs of turns"
    table = Table("of a", "here, µs", "there, µs", "ratio", "of half of the pairs", title=title)
    for kind, pairs in found.items():
        here, there = (statistics.median(side) for side in zip(*pairs, strict=True))
        low, middle, high = statistics.quantiles([ours / theirs for ours, theirs in pairs], n=4)
        table.add_row(kind, f"{here:.1f}", f"{there:.1f}", f"{middle:.3f}", f"{low:.3f} to {high:.3f}")
    return table


if __name__ == "__main__":
    try:
        typer.run(run)
    except PatchbayError as error:
        raise SystemExit(fail(error)) from error
