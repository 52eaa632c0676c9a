"""The run of Patchbay from its configuration to its exit code."""

import asyncio
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Final

from patchbay.core.data_lock import sole_user
from patchbay.core.errors import PatchbayError
from patchbay.core.exit_codes import fail
from patchbay.core.paths import data_dir
from patchbay.launch.config import PatchbayConfig
from patchbay.launch.events import Ended, Failed, ReadyReport
from patchbay.launch.fitness import doubts_of
from patchbay.launch.free_ports import choose_ports
from patchbay.launch.output import Reporter
from patchbay.launch.plan import ROUTER, make_plan, port_uses, replica_names
from patchbay.launch.ports import check_ports
from patchbay.launch.reporters import JsonReporter, PlainReporter
from patchbay.launch.rundir import run_directory
from patchbay.launch.supervisor import supervise
from patchbay.registry.database import sqlite_file

_CLEAN_CODE: Final = 0
_FORCED_CODE: Final = 130


def serve(
    config: PatchbayConfig, *, verbose: bool, on_ready: Callable[[ReadyReport], None], reporter: Reporter | None = None
) -> int:
    """Runs what `config` describes until a signal ends it, and returns the exit code.

    That is 0 after a clean stop, 1 where it cannot start, 2 where the configuration cannot be used, 130 where the end
    was forced. `on_ready` is called once, from another thread, when requests can come. Without a `reporter` all events
    go to standard output. An error is the last line on standard error.

    Source of the codes: the Bash manual, "Exit Status" (130 is 128 and SIGINT).
    """
    chosen = reporter or reporter_for(config)

    def run() -> bool:
        with sole_user(config.data_dir), run_directory(config.data_dir / "run") as folder:
            ports = choose_ports(config)
            check_ports(port_uses(ports.config))
            plan = make_plan(ports.config, folder, verbose=verbose)
            plan = replace(plan, notes=(*ports.notes, *_earlier_registry(config), *_doubts(config), *plan.notes))
            return asyncio.run(supervise(plan, chosen, on_ready))

    return exit_code_of(run, chosen)


def _doubts(config: PatchbayConfig) -> Iterator[str]:
    """Says what the configuration names and nothing has yet."""
    yield from (f"perhaps wrong: {doubt}" for doubt in doubts_of(config))


def _earlier_registry(config: PatchbayConfig) -> Iterator[str]:
    """Says where the registry of an earlier version is, which was one for all projects of a user, to a project that
    begins with an empty one."""
    own, before = sqlite_file(config.registry.url.get_secret_value()), data_dir() / "registry.db"
    if own is not None and own != before and not own.exists() and before.exists():
        yield (
            f"this project begins with an empty registry, {own}; to go on with the one that earlier versions kept for "
            f"all projects, {before}, set data_dir: {before.parent}"
        )


def exit_code_of(run: Callable[[], bool], reporter: Reporter) -> int:
    """Calls `run`, which returns whether its end was forced, reports the end, and returns the exit code for it."""
    try:
        exit_code = _FORCED_CODE if run() else _CLEAN_CODE
    except PatchbayError as error:
        with suppress(OSError):
            reporter.event(Failed(str(error)))
        exit_code = fail(error)
    except KeyboardInterrupt:
        exit_code = _FORCED_CODE
    with suppress(OSError):
        reporter.event(Ended(exit_code))
    return exit_code


def reporter_for(config: PatchbayConfig, *, as_json: bool = False) -> Reporter:
    """Makes a reporter for standard output, a terminal or not; or of JSON lines, with logs on standard error."""
    names = (*replica_names(config), ROUTER)
    if as_json:
        return JsonReporter(sys.stdout, PlainReporter(sys.stderr, names))
    if not sys.stdout.isatty():
        return PlainReporter(sys.stdout, names)
    from rich.console import Console

    from patchbay.launch.terminal import TerminalReporter

    return TerminalReporter(Console(), names)
