"""The fault test's command: what to break, for how long, and where the table goes."""

import asyncio
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from loadtests.faults.kinds import Fault, all_faults
from loadtests.faults.running import POSTGRES, SQLITE, run_faults
from loadtests.faults.tally import Tally
from loadtests.servers import NO_POSTGRES, NO_REDIS, has_redis, postgres_programs
from loadtests.tables import put_into_page
from patchbay.core.errors import ConfigError, PatchbayError
from patchbay.core.exit_codes import fail

_KEPT = Path("build/faults")
WORLDS = (SQLITE, POSTGRES)


def faults(
    *,
    minutes: Annotated[float, typer.Option("--minutes", min=0.1, help="For how long.")] = 20,
    seed: Annotated[int, typer.Option("--seed", help="What decides the order of the faults.")] = 1,
    only: Annotated[list[str] | None, typer.Option("--only", help="Faults whose names have this in them.")] = None,
    world: Annotated[list[str] | None, typer.Option("--world", help=f"Of {SQLITE}, {POSTGRES}.")] = None,
    docs: Annotated[
        Path | None, typer.Option("--docs", exists=True, dir_okay=False, help="A page to put the table into.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the table for a program.")] = False,
) -> None:
    """Breaks what routers stand on, under load, and prints what held. It exits with 1 where anything did not.

    Example: python -m loadtests.faults --minutes 2 --world sqlite --only database
    """
    try:
        chosen = chosen_faults(only or ())
        tally = Tally(seed=seed)
        asyncio.run(broken(chosen, world or WORLDS, _folder(seed), tally, minutes_from_now(minutes)))
    except PatchbayError as error:
        raise typer.Exit(fail(error)) from error
    if docs is not None:
        page = put_into_page(docs.read_text(encoding="utf-8"), "faults", tally.markdown())
        docs.write_text(page, encoding="utf-8")
    _say(tally, as_json=as_json)
    raise typer.Exit(1 if tally.violations else 0)


def chosen_faults(only: Sequence[str]) -> tuple[Fault, ...]:
    """Those whose names have one of `only` in them; all without any. Raises ConfigError where there is none."""
    known = all_faults()
    found = tuple(fault for name, fault in known.items() if not only or any(part in name for part in only))
    if not found:
        raise ConfigError(f"No fault is called so. There are: {', '.join(known)}.")
    return found


def minutes_from_now(minutes: float) -> Callable[[int], bool]:
    """Whether to go on, however many faults there were."""
    end_s = time.monotonic() + minutes * 60
    return lambda _: time.monotonic() < end_s


def _folder(seed: int) -> Path:
    """The folder where routers' logs and the registry's file stay, for whoever looks for a violation's cause."""
    _KEPT.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix=f"seed-{seed}-", dir=_KEPT)).absolute()


async def broken(
    chosen: Sequence[Fault], worlds: Sequence[str], folder: Path, tally: Tally, go_on: Callable[[int], bool]
) -> None:
    """Breaks all `worlds` at the same time, each by itself, and notes it in `tally`. Raises PatchbayError where one
    does not come up."""
    begun_s = time.monotonic()
    if POSTGRES in worlds and postgres_programs() is None:
        worlds = [world for world in worlds if world != POSTGRES]
        tally.skipped["PostgreSQL"] = NO_POSTGRES
    elif POSTGRES in worlds and not has_redis():
        tally.skipped["Redis"] = NO_REDIS
    runs = [asyncio.create_task(run_faults(world, folder / world, chosen, tally, go_on)) for world in worlds]
    try:
        await asyncio.gather(*runs)
    finally:
        for run in runs:
            run.cancel()
        await asyncio.gather(*runs, return_exceptions=True)
    tally.seconds = time.monotonic() - begun_s


def _say(tally: Tally, *, as_json: bool) -> None:
    if as_json:
        typer.echo(tally.as_json())
        return
    console = Console()
    console.print(tally.table())
    for violation in tally.violations:
        console.print(violation, markup=False)
    for name, why in tally.skipped.items():
        console.print(f"not tried: {name}: {why}", markup=False)


def main() -> None:
    """Runs the command line."""
    typer.run(faults)
