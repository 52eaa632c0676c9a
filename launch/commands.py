"""The command `patchbay up`: its options, and the call of the launcher."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from patchbay.launch.config import Overrides
    from patchbay.launch.events import ReadyReport

_Config = Annotated[Path | None, typer.Option("--config", "-c", help="The configuration. Default: ./patchbay.yaml.")]
_Base = Annotated[str | None, typer.Option("--base", help="The base model: a Hugging Face id or a folder.")]
_Adapter = Annotated[
    list[str] | None,
    typer.Option(
        "--adapter", metavar="NAME=SOURCE", help="An adapter: a folder, an archive, hf://…, s3://… Repeatable."
    ),
]
_Replicas = Annotated[
    int | None, typer.Option("--replicas", min=1, help="The number of processes that serve the model.")
]
Port = Annotated[int | None, typer.Option("--port", min=1, max=65535, help="The port for clients. Default: 8080.")]
AdminPort = Annotated[
    int | None, typer.Option("--admin-port", min=1, max=65535, help="The port for operators. Default: 8081.")
]
FirstPort = Annotated[
    int | None,
    typer.Option("--first-port", min=1, max=65535, help="The first replica's port; the others follow. Default: 9001."),
]
_Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Show the engine's own logs, and tracebacks.")]
_Json = Annotated[bool, typer.Option("--json", help="Report events as JSON lines. Logs go to standard error.")]


def up(  # noqa: PLR0913 - Typer makes an option of each parameter
    *,
    config: _Config = None,
    base: _Base = None,
    adapter: _Adapter = None,
    replicas: _Replicas = None,
    port: Port = None,
    admin_port: AdminPort = None,
    first_port: FirstPort = None,
    verbose: _Verbose = False,
    as_json: _Json = False,
) -> None:
    """Serves a base model and its adapters: starts replicas and a router, and watches over them until Ctrl-C.

    What it keeps is in `.patchbay` beside the configuration, or in the working directory without one. Where a default
    port is taken, and nobody chose it, the next free one is used, and told.

    Example: patchbay up --base Qwen/Qwen3-0.6B --adapter sql=./my-lora
    """
    from patchbay.core.distribution import check_engine

    check_engine()
    from patchbay.launch.config import Overrides

    overrides = Overrides(base, tuple(adapter or ()), replicas, port, admin_port, first_port)
    raise typer.Exit(_up(config, overrides, verbose=verbose, as_json=as_json))


def _up(file: Path | None, overrides: "Overrides", *, verbose: bool, as_json: bool) -> int:
    from patchbay.core.errors import PatchbayError
    from patchbay.core.exit_codes import fail
    from patchbay.launch.checked import checked_config
    from patchbay.launch.config import find_file
    from patchbay.launch.run import reporter_for, serve

    try:
        config = checked_config(find_file(file, overrides), overrides)
    except PatchbayError as error:
        return fail(error)
    on_ready = _print_nothing if as_json else _print_banner
    return serve(config, verbose=verbose, on_ready=on_ready, reporter=reporter_for(config, as_json=as_json))


def _print_banner(report: "ReadyReport") -> None:
    from patchbay.launch.banner import admin_address, ready_text

    typer.echo(ready_text(report, admin=admin_address(report, terminal=sys.stdout.isatty())))


def _print_nothing(report: "ReadyReport") -> None:
    """Prints nothing: the JSON event already has all that is in `report`."""
