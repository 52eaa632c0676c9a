"""The command `patchbay router`: runs a router."""

import asyncio
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from patchbay.core.errors import PatchbayError
from patchbay.core.exit_codes import fail

if TYPE_CHECKING:
    from patchbay.router.settings.config import RouterConfig
    from patchbay.router.settings.policy import ReadPolicy


def run(
    replica: Annotated[
        list[str] | None, typer.Option(help="A replica's address, http://HOST:PORT. Repeat it for more replicas.")
    ] = None,
    host: Annotated[str | None, typer.Option(help="Address of the public port. Default: 127.0.0.1.")] = None,
    port: Annotated[int | None, typer.Option(help="The public port. Default: 8080.")] = None,
    admin_port: Annotated[int | None, typer.Option(help="Port of the admin API and metrics. Default: 8081.")] = None,
    config: Annotated[
        Path | None,
        typer.Option("--config", "-c", help="A YAML file with the configuration. Options override it."),
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log more, and show tracebacks.")] = False,
) -> None:
    """Puts one OpenAI-compatible endpoint in front of replicas, or of any OpenAI-compatible servers.

    Example: patchbay router --replica http://127.0.0.1:8000
    """
    from patchbay.router.settings.config_file import load_router_config

    given = {"replicas": replica or None, "host": host, "port": port, "admin_port": admin_port}
    flags = {key: value for key, value in given.items() if value is not None}
    try:
        _serve(load_router_config(config, flags), _reading(flags), verbose=verbose)
    except PatchbayError as error:
        if verbose:
            raise
        raise typer.Exit(fail(error)) from error


def serve_file(file: Path, read: "ReadPolicy", *, verbose: bool) -> None:
    """Runs the router that `file` describes. Raises PatchbayError.

    `read`: reads its policy again, at a reload; `verbose`: whether to log more.
    """
    from patchbay.router.settings.config_file import load_router_config

    _serve(load_router_config(file, {}), read, verbose=verbose)


def _reading(flags: dict[str, Any]) -> "ReadPolicy":
    from patchbay.router.settings.policy import read_router_file

    return partial(read_router_file, flags=flags)


def _serve(settings: "RouterConfig", read: "ReadPolicy", *, verbose: bool) -> None:
    import uvloop

    from patchbay.core import descriptors
    from patchbay.core.watchdog import Watchdog
    from patchbay.router.process.serve import serve
    from patchbay.router.telemetry.logs import log_to_stderr

    lines = log_to_stderr(settings.log_format, verbose=verbose)
    deadman = Watchdog.start()
    descriptors.raise_limit()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve(settings, deadman, lines, read))
    finally:
        lines.flush()
