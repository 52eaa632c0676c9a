"""The command that simulates a fleet of up to a thousand replicas: `python -m loadtests.scale --help`."""

import json
import math
import os
import sys
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markdown import Markdown
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from loadtests.scale.fit import SHIPPED, read_fit
from loadtests.scale.plots import draw
from loadtests.scale.report import Measured, Simulated, measured_tables, simulated_tables, write_tables
from loadtests.scale.scenarios import Extent, Plan, plan_of
from loadtests.scale.work import Progress as Told
from loadtests.scale.work import measure, simulate
from patchbay.core.errors import PatchbayError
from patchbay.core.exit_codes import fail


def main(  # noqa: PLR0913, PLR0917 - Typer makes an option of each parameter
    out: Annotated[Path, typer.Option(help="Where tables, JSON and plots go.")] = Path("build/scale"),
    docs: Annotated[Path | None, typer.Option(help="A folder whose scale.md and images are written anew.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="A few small scenarios, in seconds.")] = False,
    large: Annotated[bool, typer.Option("--large", help="Four times the simulated time.")] = False,
    fit: Annotated[
        Path, typer.Option(help="How long an engine takes, as loadtests.scale.measure writes it.")
    ] = SHIPPED,
    seed: Annotated[int, typer.Option(help="For the dice.")] = 1,
    jobs: Annotated[int, typer.Option(min=1, help="Processes. Default: the cores.")] = os.cpu_count() or 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Simulates the project's own balancer, admission and slots over modelled replicas, beside other policies.

    Example: python -m loadtests.scale --out build/scale
    """
    extent: Extent = "quick" if quick else "large" if large else "default"
    try:
        plan = plan_of(extent, read_fit(fit))
    except PatchbayError as error:
        raise typer.Exit(fail(error)) from error
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        simulated = _simulated(plan, seed, pool)
    measured = measure(plan)
    document = as_document(simulated, measured, seed)
    tables = {**simulated_tables(simulated), **measured_tables(measured)}
    _write(out, document, tables)
    draw(out, simulated, measured, form="png")
    if docs is not None:
        write_tables(docs / "scale.md", tables)
        draw(docs / "images", simulated, measured, form="svg")
    (_print_json if as_json else _print)(document, tables)


def as_document(simulated: Simulated, measured: Measured, seed: int) -> dict[str, Any]:
    """All of it as JSON: what is `simulated` is the same for the same seed, what is `measured` is not."""
    return {"seed": seed, "simulated": _plain(asdict(simulated)), "measured": asdict(measured)}


def _plain(value: Any) -> Any:
    """JSON knows no infinity: what never came is null."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _simulated(plan: Plan, seed: int, pool: Executor) -> Simulated:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("simulating", total=None)
        steps: Callable[[int], None] = lambda count: bar.update(task, total=count)  # noqa: E731
        return simulate(plan, seed, pool, Told(steps, lambda name: bar.update(task, advance=1, description=name)))


def _write(out: Path, document: dict[str, Any], tables: dict[str, str]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    (out / "scale.json").write_text(json.dumps(document, indent=2) + "\n")
    (out / "scale.md").write_text("\n".join(f"## {name}\n\n{table}" for name, table in tables.items()))


def _print_json(document: dict[str, Any], tables: dict[str, str]) -> None:
    sys.stdout.write(json.dumps(document) + "\n")


def _print(document: dict[str, Any], tables: dict[str, str]) -> None:
    for name, table in tables.items():
        Console().print(Markdown(f"**{name}**\n\n{table}"))


if __name__ == "__main__":
    typer.run(main)
