"""The results of clients as tables: for a terminal, for `docs/clients.md`, and as JSON."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.markup import escape
from rich.table import Table

from loadtests.clients.known import CLIENTS
from loadtests.clients.results import Result, Verdict
from loadtests.tables import put_into_page

TABLE = "clients"
_COLOURS: dict[Verdict, str] = {"passed": "green", "failed": "red", "not run": "yellow"}


def for_terminal(results: Sequence[Result]) -> Table:
    """The table for people, with what failed and why."""
    table = Table(title="The usual clients on the demo", show_lines=True)
    for heading in ("client", "version", "result", "checks"):
        table.add_column(heading)
    for result in results:
        colour = _COLOURS[result.verdict]
        said = [f"{check.name}: {check.said}" for check in result.failures] or [_names(result)]
        cells = (_title(result), _versions(result), f"[{colour}]{escape(_outcome(result))}[/]")
        table.add_row(*cells, escape("\n".join([*said, *([result.trouble] if result.trouble else [])])))
    return table


def for_page(results: Sequence[Result]) -> str:
    """The table in Markdown. What failed is named; what was not run has its reason."""
    lines = ["| client | version | result | checks |", "|---|---|---|---|"]
    lines += [
        f"| {_title(result)} | {_versions(result)} | {_outcome(result)} | {_told(result)} |" for result in results
    ]
    return "\n".join(lines)


def written(page: str, results: Sequence[Result]) -> str:
    """The page with the table of these results in place of the one that it has. Raises ValueError where it has none."""
    return put_into_page(page, TABLE, for_page(results))


def document(results: Sequence[Result]) -> dict[str, Any]:
    """The results for programs."""
    return {"clients": [asdict(result) | {"verdict": result.verdict} for result in results]}


def _title(result: Result) -> str:
    return next((client.title for client in CLIENTS if client.name == result.client), result.client)


def _versions(result: Result) -> str:
    return ", ".join(f"{package} {version}" for package, version in result.versions.items())


def _outcome(result: Result) -> str:
    if result.verdict == "not run":
        return "not run"
    passed = len(result.checks) - len(result.failures)
    return f"{result.verdict}, {passed} of {len(result.checks)}"


def _names(result: Result) -> str:
    return "; ".join(check.name for check in result.checks)


def _told(result: Result) -> str:
    failures = [f"**failed: {check.name}**" for check in result.failures]
    passed = [check.name for check in result.checks if check.ok]
    told = [*([result.trouble] if result.trouble else []), *failures, *passed]
    return "; ".join(told).replace("|", "\\|")
