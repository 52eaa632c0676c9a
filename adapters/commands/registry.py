"""`patchbay registry`: the registry's database itself."""

from typing import Annotated

import typer

from patchbay.adapters.commands.session import Config, opened

app = typer.Typer(no_args_is_help=True, add_completion=False)


@app.callback()
def registry() -> None:
    """The registry's database."""


@app.command("migrate")
def migrate(
    new: Annotated[bool, typer.Option("--new", help="Make a new, empty registry where one was and is gone.")] = False,
    config: Config = None,
) -> None:
    """Makes the registry's tables, or brings them up to date, as every router and command does when it begins.

    Example: PATCHBAY_REGISTRY=postgresql://patchbay@db.internal/patchbay patchbay registry migrate
    """
    with opened(config, anew=new):
        typer.echo("The registry's tables are up to date.")
