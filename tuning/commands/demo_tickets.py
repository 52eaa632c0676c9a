"""The command `patchbay demo tickets`: writes raw tickets with planted dirt, and the truth about it."""

import json
from pathlib import Path
from typing import Annotated

import typer

from patchbay.adapters.commands.output import print_json
from patchbay.adapters.commands.session import AsJson


def demo_tickets(
    folder: Annotated[Path, typer.Argument(help="The folder for the files; it is made where it is missing.")] = Path(),
    rows: Annotated[int, typer.Option(min=100, help="Records in the raw file.")] = 600,
    seed: Annotated[int, typer.Option(help="Another seed gives other tickets.")] = 7,
    as_json: AsJson = False,
) -> None:
    """Writes support tickets to try data commands on: tickets.jsonl, which is raw, with personal data, secrets, copies,
    leaks and broken records planted in it; held-out.jsonl, a clean evaluation set; truth.json, the lines with dirt.

    Example: patchbay demo tickets ./tickets --rows 600
    """
    from patchbay.core.errors import PatchbayError
    from patchbay.core.exit_codes import fail
    from patchbay.tuning.data.writing import write_whole
    from patchbay.tuning.demo.dirty import dirty_tickets

    made = dirty_tickets(rows, seed=seed)
    truth = {kind: sorted(lines) for kind, lines in sorted(made.truth.items())}
    try:
        write_whole(folder / "tickets.jsonl", "".join(f"{line}\n" for line in made.lines))
        write_whole(folder / "held-out.jsonl", "".join(f"{line}\n" for line in made.held_out))
        write_whole(folder / "truth.json", json.dumps(truth, indent=2) + "\n")
    except PatchbayError as error:
        raise typer.Exit(fail(error)) from error
    if as_json:
        print_json({"folder": str(folder), "rows": len(made.lines), "dirt": {k: len(v) for k, v in truth.items()}})
    else:
        dirt = ", ".join(f"{kind} {len(lines)}" for kind, lines in truth.items())
        typer.echo(f"{len(made.lines)} records are in {folder / 'tickets.jsonl'}, with planted dirt: {dirt}.")
