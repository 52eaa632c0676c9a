"""The saturation benchmark: a router under as many callers as it can serve, beside another checkout of it.

It shows how long the slowest wait, and what an answer costs: `python -m loadtests.overhead.saturation --help`. What
holds the event loop now and then, as the garbage collector does, shows here and nowhere else: 32 callers in a closed
loop wait for it, all at once.
"""

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from loadtests.overhead.measure import CHUNKS
from loadtests.overhead.targets import FULL, TARGETS, Running, Target, elsewhere, running, running_engine
from patchbay.core.errors import PatchbayError
from patchbay.core.exit_codes import fail

_COLUMNS = ("p50_ms", "p99_ms", "p999_ms", "max_ms", "call_us", "chunk_us")
Figures = dict[str, float]


def measured(router: Running, *, callers: int, seconds: float) -> Figures:
    """Small calls in a closed loop, and what a call and a stream's chunk cost in CPU time. Raises PatchbayError where
    anything failed."""
    calls, call_cpu = _closed(router, callers, seconds, 0)
    streams, stream_cpu = _closed(router, callers, seconds / 2, CHUNKS)
    costs = {
        "call_us": 1e6 * call_cpu / calls["answers"],
        "chunk_us": 1e6 * stream_cpu / (streams["answers"] * CHUNKS),
    }
    return {**calls, **costs}


def _closed(router: Running, callers: int, seconds: float, chunks: int) -> tuple[Figures, float]:
    command = [sys.executable, "-m", "loadtests.overhead.closed", router.url, str(callers), str(seconds), str(chunks)]
    before = router.cpu_s()
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found: Figures = json.loads(output)
    if found["failed"]:
        raise PatchbayError(f"{router.name}: {found['failed']} calls failed.")
    return found, router.cpu_s() - before


def run(
    against: Annotated[Path | None, typer.Option(help="Another checkout of Patchbay, to measure beside.")] = None,
    rounds: Annotated[int, typer.Option(min=1, max=20, help="Turns of each, one after the other.")] = 3,
    seconds: Annotated[int, typer.Option(min=2, max=120, help="Of each turn.")] = 8,
    callers: Annotated[int, typer.Option(min=1, max=256, help="Connections, each with one call at a time.")] = 32,
) -> None:
    """Measures the slowest answers of a router that is saturated.

    Example: python -m loadtests.overhead.saturation --against ../before
    """
    ours = next(target for target in TARGETS if target.name == FULL)
    targets: list[Target] = [ours, *([elsewhere(ours, against)] if against else [])]
    found: dict[str, list[Figures]] = {target.name: [] for target in targets}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(rounds):
            for target in targets if number % 2 == 0 else targets[::-1]:
                with running_engine() as engine, running(target, engine, Path(folder) / target.name) as router:
                    found[target.name].append(measured(router, callers=callers, seconds=seconds))
    table = Table("", *_COLUMNS, title=f"{callers} callers in a closed loop, medians of {rounds} turns")
    medians = {name: _medians(many) for name, many in found.items()}
    for name, row in medians.items():
        table.add_row(name, *(f"{row[key]:.1f}" for key in _COLUMNS))
    if len(medians) == 2:
        first, second = medians.values()
        table.add_row("ratio", *(f"{first[key] / second[key]:.2f}" for key in _COLUMNS))
    Console(width=110).print(table)


def _medians(rounds: list[Figures]) -> Figures:
    return {key: statistics.median(figures[key] for figures in rounds) for key in _COLUMNS}


if __name__ == "__main__":
    try:
        typer.run(run)
    except PatchbayError as error:
        raise SystemExit(fail(error)) from error
