"""The command `patchbay doctor`: what is not well on this machine and with its router, and what to do about it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from patchbay.launch.doctor_checks import CheckResult

_MARKS = {"ok": "[green]ok[/green]", "warning": "[yellow]look[/yellow]", "failed": "[red]failed[/red]"}


def doctor(
    config: Annotated[
        Path | None,
        typer.Option("--config", "-c", help="The servers' file, of `up` or `router`; default: ./patchbay.yaml."),
    ] = None,
    url: Annotated[
        str | None,
        typer.Option(envvar="PATCHBAY_URL", help="A router's public port. Default: the configuration's, else 8080."),
    ] = None,
    admin_url: Annotated[
        str | None, typer.Option(help="Its admin port. Default: the configuration's, else 8081.")
    ] = None,
    key: Annotated[str | None, typer.Option(envvar="PATCHBAY_API_KEY", help="An API key, where there are any.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Looks at the machine, the packages, the configuration, the registry, the ports and a router that runs, and asks
    a model for an answer.

    Exit codes: 0 all is well, 1 something has failed. Example: patchbay doctor -c patchbay.yaml
    """
    from patchbay.adapters.commands.output import console, print_json
    from patchbay.adapters.commands.session import DEFAULT_FILE
    from patchbay.launch.doctor_checks import Place, findings

    file = config or (DEFAULT_FILE if DEFAULT_FILE.exists() else None)
    place = Place(file, *_ports(file, url, admin_url), key)
    with console().status("looking"):
        found = list(findings(place))
    if as_json:
        print_json(found)
    else:
        _print(found)
    raise typer.Exit(1 if any(finding.state == "failed" for finding in found) else 0)


def _ports(file: Path | None, url: str | None, admin_url: str | None) -> tuple[str, str]:
    """Returns the addresses of the public and the admin port: the usual ones where the file is not in order, which a
    check tells."""
    from patchbay.core.errors import ConfigError
    from patchbay.launch.admin_keys import AdminKeys, public_url, read_admin_keys

    try:
        keys = read_admin_keys(file)
    except ConfigError:
        keys = AdminKeys()
    return public_url(url or keys.url), (admin_url or keys.admin_url).rstrip("/")


def _print(found: "list[CheckResult]") -> None:
    from rich.markup import escape
    from rich.table import Table

    from patchbay.adapters.commands.output import console

    table = Table("", "what", "how it is", "what to do", box=None, pad_edge=False)
    for finding in found:
        table.add_row(_MARKS[finding.state], finding.what, escape(finding.says), escape(finding.todo))
    console().print(table)
