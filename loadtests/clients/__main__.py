"""The conformance run's command line: `python -m loadtests.clients --help`."""

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from loadtests.clients import page, stack
from loadtests.clients.known import Client, chosen
from loadtests.clients.results import Result, not_run
from loadtests.clients.running import Place, install
from loadtests.clients.running import run as run_client
from loadtests.loopback import check_loopback
from patchbay.core.errors import PatchbayError
from patchbay.core.exit_codes import fail

_PAGE = Path("docs/clients.md")


def run(
    only: Annotated[list[str] | None, typer.Option(help="Just this client. May be given several times.")] = None,
    url: Annotated[str | None, typer.Option(help="A demo that runs on this machine, not one started for it.")] = None,
    key: Annotated[str | None, typer.Option(help="What opens the demo at --url, where it has keys.")] = None,
    port: Annotated[int, typer.Option(min=1024, max=64_000, help="Of the demo that is started.")] = 18580,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Runs each client's checks on the demo, prints a table, and writes it to docs/clients.md where all were run.

    Example: python -m loadtests.clients --only langchain --only codex
    """
    clients = chosen(only or [])
    if url is not None:
        check_loopback(url)
    with Progress(console=Console(stderr=True), transient=True) as progress:
        # Before the demo is started, which takes the machine's memory.
        missing = _install_all(clients, progress)
        with stack.demo(port) if url is None else contextlib.nullcontext(stack.elsewhere(url, key)) as place:
            results = _run_all(clients, missing, place, progress)
    _tell(results, as_json=as_json)
    if not only:
        _PAGE.write_text(page.written(_PAGE.read_text(encoding="utf-8"), results), encoding="utf-8")
    raise typer.Exit(1 if any(result.verdict == "failed" for result in results) else 0)


def _install_all(clients: Sequence[Client], progress: Progress) -> dict[str, str]:
    """Why clients could not be installed, by the names of those that could not."""
    task = progress.add_task("", total=len(clients))
    missing = {}
    for client in clients:
        progress.update(task, description=f"installing {client.title}")
        if (reason := install(client)) is not None:
            missing[client.name] = reason
        progress.advance(task)
    return missing


def _run_all(clients: Sequence[Client], missing: Mapping[str, str], place: Place, progress: Progress) -> list[Result]:
    task = progress.add_task("", total=len(clients))
    results = []
    for client in clients:
        progress.update(task, description=f"running {client.title}")
        reason = missing.get(client.name)
        results.append(run_client(client, place) if reason is None else not_run(client.name, reason))
        progress.advance(task)
    return results


def _tell(results: Sequence[Result], *, as_json: bool) -> None:
    console = Console()
    if as_json:
        console.print_json(data=page.document(results))
    else:
        console.print(page.for_terminal(results))


if __name__ == "__main__":
    try:
        typer.run(run)
    except PatchbayError as error:
        raise SystemExit(fail(error)) from error
