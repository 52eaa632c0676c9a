"""The benchmark's command line."""

import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress

from loadtests.overhead.measure import Crowd, Round, crowd, first_byte_s, measure
from loadtests.overhead.report import medians, table_of, targets_met, write
from loadtests.overhead.targets import FULL, TARGETS, Target, elsewhere, running, running_engine
from patchbay.core.errors import ConfigError, PatchbayError
from patchbay.core.exit_codes import fail

_REPORT = Path("build/bench")
_FIRST_CROWD = 2000


def run(
    seconds: Annotated[int, typer.Option(min=1, max=120, help="Of each kind of load, a round.")] = 8,
    rounds: Annotated[int, typer.Option(min=1, max=20, help="Turns of every router, one after the other.")] = 3,
    only: Annotated[list[str] | None, typer.Option(help="Just this router. May be given several times.")] = None,
    against: Annotated[Path | None, typer.Option(help="Another checkout of Patchbay, to measure beside.")] = None,
    streams: Annotated[int, typer.Option(min=0, max=20_000, help="Streams at once in the last part; 0: none.")] = 5000,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Measures what each router costs, prints a table, and writes it and a plot to build/bench.

    Example: python -m loadtests.overhead --rounds 1 --only patchbay --only nginx
    """
    chosen = _chosen(only or [], against)
    crowds: list[Crowd] = []
    measured: dict[str, list[Round]] = {target.name: [] for target in chosen}
    with tempfile.TemporaryDirectory() as folder, Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("measuring", total=rounds * len(chosen))
        for _ in range(rounds):
            for target in chosen:
                progress.update(task, description=target.name)
                measured[target.name].append(_one(target, Path(folder) / target.name, seconds))
                progress.advance(task)
        if streams and any(target.name == FULL for target in chosen):
            progress.update(task, description=f"{streams} streams")
            crowds = [_crowd(Path(folder), count) for count in sorted({min(_FIRST_CROWD, streams), streams})]
    _tell(measured, crowds, as_json=as_json)


def _one(target: Target, folder: Path, seconds: int) -> Round:
    with running_engine() as engine, running(target, engine, folder) as router:
        base_us = 1e6 * first_byte_s(engine)
        found = measure(router, folder, seconds=seconds)
    return replace(found, first_byte_us=found.first_byte_us - base_us)


def _crowd(folder: Path, count: int) -> Crowd:
    target = next(target for target in TARGETS if target.name == FULL)
    with running_engine() as engine, running(target, engine, folder / "crowd") as router:
        # Long enough that the last is open before the first has ended.
        return crowd(router, count, chunks=40, pause_ms=500)


def _chosen(only: Sequence[str], against: Path | None) -> list[Target]:
    known = {target.name: target for target in TARGETS}
    if unknown := set(only) - set(known):
        raise ConfigError(
            f"There is no router called {', '.join(sorted(unknown))}.", hint=f"Known: {', '.join(known)}."
        )
    chosen = [target for target in TARGETS if not only or target.name in only]
    missing = [target.name for target in chosen if not target.needs.exists()]
    if missing:
        hint = "`make bench` installs what it can."
        print(f"not installed, so not measured: {', '.join(missing)}. {hint}", file=sys.stderr)  # noqa: T201
    present = [target for target in chosen if target.name not in missing]
    return present + ([elsewhere(known["patchbay"], against)] if against else [])


def _tell(measured: dict[str, list[Round]], crowds: list[Crowd], *, as_json: bool) -> None:
    figures = medians(measured)
    met = targets_met(figures, crowds)
    document: dict[str, Any] = {
        "routers": figures,
        "rounds": {name: [asdict(round_) for round_ in of_router] for name, of_router in measured.items()},
        "crowds": [asdict(entry) for entry in crowds],
        "targets": met,
    }
    write(_REPORT, document)
    console = Console()
    if as_json:
        console.print_json(data=document)
        return
    console.print(table_of(figures))
    for entry in crowds:
        console.print(
            f"{entry.streams} streams at once: {entry.failed} failed, {entry.grown_mib:.0f} MiB over the start"
        )
    for target, holds in met.items():
        console.print(f"[{'green' if holds else 'red'}]{'met   ' if holds else 'missed'}[/] {target}")


if __name__ == "__main__":
    try:
        typer.run(run)
    except PatchbayError as error:
        raise SystemExit(fail(error)) from error
