"""The attack's command: its parts, for how long, and where the table goes."""

import asyncio
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import aiohttp
import typer
from rich.console import Console

from loadtests.attack.parts import PARTS, Part
from loadtests.attack.running import Attack, asking, left_violations
from loadtests.attack.stack import Target, bystanders, own_stack
from loadtests.attack.tally import Tally
from loadtests.attack.tries import Violation
from loadtests.attack.watch import Processes
from loadtests.tables import put_into_page
from patchbay.core.errors import PatchbayError
from patchbay.core.exit_codes import fail

_CONNECTIONS = 64
# Where violations go, a file each.
_OUT = Path("build/attack")


def attack(
    *,
    minutes: Annotated[float, typer.Option("--minutes", min=0.1, help="For how long.")] = 10,
    seed: Annotated[int, typer.Option("--seed", help="What decides the order of the tries.")] = 1,
    only: Annotated[list[str] | None, typer.Option("--only", help=f"Of {', '.join(PARTS)}.")] = None,
    docs: Annotated[
        Path | None, typer.Option("--docs", exists=True, dir_okay=False, help="A page to put the table into.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the table for a program.")] = False,
) -> None:
    """Attacks the demo, started for it, and prints what it tried. It exits with 1 where anything did not hold.

    Example: python -m loadtests.attack --minutes 2 --only fields
    """
    try:
        with own_stack() as target:
            tally = asyncio.run(attacked(target, [PARTS[name] for name in only or PARTS], minutes * 60, seed))
    except PatchbayError as error:
        raise typer.Exit(fail(error)) from error
    _write(tally.violations, _OUT)
    if docs is not None:
        docs.write_text(put_into_page(docs.read_text(encoding="utf-8"), "attack", tally.markdown()), encoding="utf-8")
    _say(tally, as_json=as_json)
    raise typer.Exit(1 if tally.violations else 0)


async def attacked(target: Target, parts: Sequence[Part], seconds: float, seed: int) -> Tally:
    """Runs the parts, each for its share of the time; those that come to an end leave theirs to the ones after."""
    tally, began = Tally(seed=seed), time.monotonic()
    connector = aiohttp.TCPConnector(limit=_CONNECTIONS)
    async with aiohttp.ClientSession(connector=connector) as session:
        watched = bystanders()
        async with asking(session, target.addresses.clients, watched, tally):
            run = Attack(session, target.addresses, Processes(target.pid), watched, tally)
            for place, part in enumerate(parts):
                left = seconds - (time.monotonic() - began)
                end_s = time.monotonic() + left * part.share / sum(remaining.share for remaining in parts[place:])
                await run.run(part.tries(target, seed), lambda end_s=end_s: time.monotonic() < end_s)  # type: ignore[misc]
            tally.violations = [await run.smallest(violation) for violation in tally.violations]
        tally.violations += await left_violations(session, target.addresses)
    tally.seconds = time.monotonic() - began
    return tally


def _write(violations: Sequence[Violation], out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    for old in out.glob("*.json"):
        old.unlink()
    for number, violation in enumerate(violations):
        fields = {
            "what": violation.what,
            "detail": violation.detail,
            "kind": violation.by.kind,
            "try": violation.by.what,
        }
        request = {
            "path": violation.by.path,
            "headers": dict(violation.by.headers),
            "body": violation.by.body.decode("latin-1"),
        }
        (out / f"{number:03d}.json").write_text(json.dumps({**fields, **request}, indent=2), encoding="utf-8")


def _say(tally: Tally, *, as_json: bool) -> None:
    if as_json:
        typer.echo(tally.as_json())
        return
    console = Console()
    console.print(tally.table())
    for number, violation in enumerate(tally.violations):
        console.print(
            f"{_OUT}/{number:03d}.json: {violation.what}, by {violation.by.what}: {violation.detail[:200]}",
            markup=False,
        )


def main() -> None:
    """Runs the command line."""
    typer.run(attack)
