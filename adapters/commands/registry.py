"""The command `patchbay registry`: maintenance of the registry's database."""

from typing import Annotated

import typer

from patchbay.adapters.commands.session import Config, opened

app = typer.Typer(no_args_is_help=True, add_completion=False)


@app.callback()
def registry() -> None:
    """Maintain the registry's database."""


@app.command("migrate")
def migrate(
    new: Annotated[
        bool, typer.Option("--new", help="Create an empty registry even if one existed and is gone.")
    ] = False,
    config: Config = None,
) -> None:
    """Creates the registry's tables, or brings them up to date, as every router and command does at its start.

    Example: PATCHBAY_REGISTRY=postgresql://patchbay@db.internal/patchbay patchbay registry migrate
    """
    with opened(config, anew=new):
        typer.echo("The registry's tables are up to date.")
