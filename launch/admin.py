"""The command `patchbay admin`: access to the admin port of this user's routers."""

from typing import Annotated

import typer

from patchbay.core.errors import PatchbayError, fail

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Open the admin port.")


@app.callback()
def _admin() -> None:
    """Open the admin port of this user's routers."""


@app.command()
def token(
    url: Annotated[bool, typer.Option("--url", help="Print the admin port's address with the token in it.")] = False,
    admin_url: Annotated[str, typer.Option(help="With --url: the admin port's address.")] = "http://127.0.0.1:8081",
) -> None:
    """Print the token that opens the admin port where the configuration sets none; it is made where it is not there.

    Example: curl -H "Authorization: Bearer $(patchbay admin token)" http://127.0.0.1:8081/metrics
    """
    from patchbay.core.admin_token import own_token, shown_token, token_path, token_url

    try:
        token_text = shown_token() or own_token(token_path())
    except PatchbayError as error:
        raise typer.Exit(fail(error)) from error
    typer.echo(token_url(admin_url.rstrip("/"), token_text) if url else token_text)
