"""The commands `patchbay load`, which put load on a Patchbay in scenarios and judge the result."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from patchbay.core.errors import PatchbayError
from patchbay.core.exit_codes import fail

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

    from loadtests.load.compare import Table
    from loadtests.load.running import Ran
    from loadtests.load.scenario import Scenario
    from loadtests.load.stack import Target

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Put load on a Patchbay, and judge the result.")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines instead of tables.")]


@app.command()
def run(  # noqa: PLR0913, PLR0917 - Typer makes an option of each parameter
    scenario: Annotated[str, typer.Argument(help="A ready scenario (`patchbay load scenarios`), or a YAML file.")],
    report: Annotated[Path, typer.Option("--report", help="The folder for report.html and report.json.")] = Path(
        "load-report"
    ),
    url: Annotated[str | None, typer.Option(help="A running Patchbay, on loopback. Default: starts the demo.")] = None,
    admin_url: Annotated[str, typer.Option(help="Its admin port, for canaries.")] = "http://127.0.0.1:8081",
    keys: Annotated[Path | None, typer.Option(help="With --url: a YAML file with a key of each tenant.")] = None,
    compare: Annotated[bool, typer.Option("--compare", help="Also run vLLM's own benchmark.")] = False,
    as_json: AsJson = False,
) -> None:
    """Runs a scenario in an open loop, writes a report, and judges it. Exit codes: 0 the targets are met, 1 not met, or
    it could not run, 2 wrong usage.

    Example: patchbay load run smoke --report load-report
    """
    try:
        from loadtests.load.scenario import load_scenario
        from loadtests.load.stack import given_stack

        chosen = load_scenario(scenario)
        target = given_stack(chosen, url, admin_url, keys) if url else None
        ran, compared = _run(chosen, target, compare=compare)
    except PatchbayError as error:
        raise typer.Exit(fail(error)) from error
    _tell(ran, compared, report, as_json=as_json)
    raise typer.Exit(0 if ran.met else 1)


@app.command()
def scenarios(as_json: AsJson = False) -> None:
    """Lists the ready scenarios.

    Example: patchbay load scenarios
    """
    from patchbay.adapters.commands.output import console, print_json, table

    try:
        from loadtests.load.scenario import load_scenario, ready_scenarios

        found = [load_scenario(name) for name in ready_scenarios()]
    except PatchbayError as error:
        raise typer.Exit(fail(error)) from error
    if as_json:
        print_json([scenario.model_dump(mode="json") for scenario in found])
        return
    console().print(
        table(
            "",
            ("scenario", "seconds", "what"),
            [(scenario.name, f"{scenario.seconds:g}", scenario.says) for scenario in found],
        )
    )


def _run(scenario: "Scenario", target: "Target | None", *, compare: bool) -> "tuple[Ran, Table | None]":
    """The run with its progress on standard error, on `target` or on the demo, started for it."""
    import contextlib

    from rich.console import Console
    from rich.progress import Progress

    from loadtests.load.compare import compare as compared
    from loadtests.load.running import run_scenario
    from loadtests.load.stack import own_stack

    with Progress(console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("starting the demo" if target is None else "beginning", total=None)

        def tell(what: str, done: int, total: int) -> None:
            progress.update(bar, description=what, completed=done, total=total)

        with own_stack(scenario) if target is None else contextlib.nullcontext(target) as running:
            ran = run_scenario(scenario, running, tell)
            return ran, compared(scenario, running, tell) if compare else None


def _tell(ran: "Ran", compared: "Table | None", folder: Path, *, as_json: bool) -> None:
    from loadtests.load.page import write
    from patchbay.adapters.commands.output import console, print_json

    page = write(ran, folder, compared)
    if as_json:
        document: dict[str, Any] = {**ran.document(), "compared": compared, "report": str(page)}
        document.pop("requests")
        print_json(document)
        return
    for shown in _tables(ran, compared):
        console().print(shown)
    console().print(f"\nThe report: {page}")


def _tables(ran: "Ran", compared: "Table | None") -> "Iterator[RenderableType]":
    from loadtests.load.page import COMPARED_HEADS, GROUP_HEADS, group_row, number
    from patchbay.adapters.commands.output import table

    groups = {"all": ran.figures.counted, **ran.figures.by_model, **ran.figures.by_tenant}
    title = f"{ran.scenario.name}: times in ms from when due"
    yield table(title, GROUP_HEADS, [group_row(*group) for group in groups.items()])
    if ran.figures.errors:
        yield table("Errors and refusals", ("kind", "requests"), list(ran.figures.errors.items()))
    if compared:
        beside = [(name, *map(number, values)) for name, values in compared.items()]
        yield table("Beside vLLM's own serving benchmark", COMPARED_HEADS, beside)
    judged = [(target.name, target.wanted, target.found, "met" if target.met else "missed") for target in ran.judged]
    yield table("Targets", ("target", "wanted", "found", ""), judged)
