"""The command `patchbay server`: runs one replica in the foreground."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from patchbay.core.errors import PatchbayError, StartError
from patchbay.core.exit_codes import fail

if TYPE_CHECKING:
    from patchbay.core.watchdog import Watchdog
    from patchbay.server.config import ServerConfig
    from patchbay.server.engine import Engine
    from patchbay.server.logs import TracebackFold


def run(
    config: Annotated[Path, typer.Option("--config", "-c", help="The replica's configuration, a YAML file.")],
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show the engine's own logs, and tracebacks.")
    ] = False,
) -> None:
    """Runs one replica until Ctrl-C. `patchbay up` starts replicas and a router together, and is what you want first.

    Example: patchbay server --config replica.yaml
    """
    raise typer.Exit(_run(config, verbose=verbose))


def _run(path: Path, *, verbose: bool) -> int:
    from patchbay.core.distribution import check_engine
    from patchbay.core.settings import load_yaml, parse_settings
    from patchbay.core.watchdog import Watchdog
    from patchbay.server.config import ServerConfig
    from patchbay.server.logs import folded_output
    from patchbay.server.preflight import check_start
    from patchbay.server.processes import engine_processes, kill

    try:
        check_engine()
        config = parse_settings(ServerConfig, load_yaml(path), source=str(path), file=path)
        check_start(config)
    except PatchbayError as error:
        return fail(error)
    # Armed to the process's very end: threads that are joined and hooks that run at exit can hang, too.
    deadman = Watchdog.start(lambda: kill(engine_processes()))
    with folded_output(verbose=verbose) as fold:
        failure = _serve(config, fold, deadman, verbose=verbose)
    return fail(failure) if failure else 0


def _serve(
    config: "ServerConfig", fold: "TracebackFold", deadman: "Watchdog", *, verbose: bool
) -> PatchbayError | None:
    import uvloop

    from patchbay.server.process import serve

    async def start_engine(config: "ServerConfig") -> "Engine":
        from patchbay.server.start import start_vllm

        engine = await start_vllm(config, verbose=verbose)
        fold.show_errors = True
        return engine

    try:
        uvloop.run(serve(config, start_engine, deadman))
    except StartError as error:
        if verbose:
            raise
        return _with_root_cause(error, fold.root_cause)
    except PatchbayError as error:
        return error
    return None


def _with_root_cause(error: StartError, root_cause: str | None) -> StartError:
    """Returns `error` with the engine's own reason in place of vLLM's pointer to it."""
    if root_cause is None or "root cause above" not in error.message:
        return error
    head = error.message.partition(": ")[0]
    return StartError(f"{head}: {root_cause.rstrip('.')}.", hint=error.hint)
