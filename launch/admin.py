"""The command `patchbay admin`: access to the admin port of this user's routers."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from patchbay.core.errors import PatchbayError
from patchbay.core.exit_codes import fail

if TYPE_CHECKING:
    from patchbay.launch.admin_keys import AdminKeys

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Open the admin port.")


@app.callback()
def _admin() -> None:
    """Open the admin port of this user's routers."""


@app.command()
def token(
    url: Annotated[bool, typer.Option("--url", help="Print the admin port's address with the token in it.")] = False,
    admin_url: Annotated[
        str | None, typer.Option(help="With --url: the admin port's address. Default: http://127.0.0.1:8081.")
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option("--config", "-c", help="The servers' configuration. Default: ./patchbay.yaml."),
    ] = None,
) -> None:
    """Prints the token that opens the admin port: PATCHBAY_ADMIN_TOKEN, else the configuration's `admin_token`, else
    the one that the first router made in the user directory. It makes none.

    Example: curl -H "Authorization: Bearer $(patchbay admin token)" http://127.0.0.1:8081/metrics
    """
    from patchbay.core.admin_token import token_url
    from patchbay.launch.admin_keys import read_admin_keys

    try:
        keys = read_admin_keys(config)
        told = _token(keys)
    except PatchbayError as error:
        raise typer.Exit(fail(error)) from error
    where = (admin_url or keys.admin_url).rstrip("/")
    typer.echo(token_url(where, told) if url else told)


def _token(keys: "AdminKeys") -> str:
    """Returns the token that opens the admin port. Raises ConfigError where none can be shown."""
    import os

    from patchbay.core.admin_token import VARIABLE, shown_token, token_path
    from patchbay.core.errors import ConfigError

    if told := os.environ.get(VARIABLE):
        return told
    if keys.admin_token is not None:
        return keys.admin_token.get_secret_value()
    if keys.admin_tokens:
        names = ", ".join(f"{one.name} ({one.role})" for one in keys.admin_tokens)
        raise ConfigError(f"{keys.source} has 'admin_tokens': {names}.", hint="Only one of those opens the admin port.")
    if keys.admin_open:
        raise ConfigError(f"{keys.source} has 'admin_open': the admin port asks for no token.")
    if (own := shown_token()) is not None:
        return own
    raise ConfigError(
        f"There is no admin token: {token_path()} is not there.",
        hint="A router makes it at its start. If one runs, it has another user directory (PATCHBAY_DATA_DIR), tokens "
        "in its configuration (-c FILE), or has to be started again.",
    )
