"""The command `patchbay route`: explains the route of a text, and measures how well `auto` tells tasks apart."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from patchbay.adapters.commands.session import DEFAULT_FILE, AsJson
from patchbay.core.errors import ConfigError, PatchbayError
from patchbay.core.exit_codes import fail

if TYPE_CHECKING:
    from patchbay.router.routes.evaluation import RouteEvaluation
    from patchbay.router.routes.table import RouteTable

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Explain the route of a text, and test `auto`.")
_Config = Annotated[
    Path | None, typer.Option("--config", "-c", help="The file with `routes`. By default ./patchbay.yaml.")
]


@app.command("explain")
def explain(
    text: Annotated[str, typer.Argument(help="The user's message. - reads standard input.")],
    config: _Config = None,
    model: Annotated[str, typer.Option(help="The model that the request names.")] = "auto",
    caller: Annotated[str, typer.Option(help="The session or user, which decides the arm of a split.")] = "",
    as_json: AsJson = False,
) -> None:
    """Says which route a text takes, and why.

    Example: patchbay route explain "Show the total of all orders in Lisbon"
    """
    from patchbay.adapters.commands.output import console, facts, print_json
    from patchbay.router.routes.facts import RequestFacts

    try:
        table = _table(config)
        if not table.knows(model):
            raise ConfigError(f"There is no route '{model}' in the configuration.", hint=_known(table))
        message = typer.get_text_stream("stdin").read() if text == "-" else text
        choice = table.choose(model, RequestFacts(text=message, caller=f"user:{caller}".encode()))
    except PatchbayError as error:
        raise typer.Exit(fail(error)) from error
    found = {"route": choice.route, "model": choice.model, "arm": choice.arm, "why": list(choice.why)}
    if as_json:
        print_json(found)
    else:
        console().print(facts({**found, "why": "\n".join(choice.why)}))


@app.command("eval")
def evaluate(
    file: Annotated[Path, typer.Argument(help='A file of JSON lines: {"text": "…", "route": "…"}.')],
    config: _Config = None,
    least: Annotated[
        float, typer.Option(min=0, max=1, help="Fail if the share of right routes is below this, 0 to 1.")
    ] = 0.0,
    as_json: AsJson = False,
) -> None:
    """Has `auto` route every text of a file, and prints the confusion matrix. Exit code 1: fewer right than `--least`.

    Example: patchbay route eval texts.jsonl --least 0.95
    """
    from patchbay.adapters.commands.output import print_json
    from patchbay.router.routes.evaluation import evaluate as run
    from patchbay.router.routes.evaluation import read_texts

    try:
        result = run(_table(config), read_texts(file))
    except PatchbayError as error:
        raise typer.Exit(fail(error)) from error
    if as_json:
        print_json({**json.loads(json.dumps(result.as_json())), "ok": result.share >= least})
    else:
        _show(result)
    raise typer.Exit(0 if result.share >= least else 1)


def _table(file: Path | None) -> "RouteTable":
    from patchbay.core.settings import load_yaml, parse_settings
    from patchbay.router.routes.config import RoutesConfig
    from patchbay.router.routes.table import compile_table

    path = file or DEFAULT_FILE
    if file is None and not path.exists():
        raise ConfigError(
            f"There is no {path} here.",
            hint="Name the file with the routes: -c FILE (patchbay demo config prints one).",
        )
    data: dict[str, Any] = {key: value for key, value in load_yaml(path).items() if key in RoutesConfig.model_fields}
    return compile_table(parse_settings(RoutesConfig, data, source=str(path), file=path), path.absolute().parent)


def _known(table: "RouteTable") -> str:
    return f"There are: {', '.join(sorted(table.routes)) or 'none'}."


def _show(result: "RouteEvaluation") -> None:
    from patchbay.adapters.commands.output import console, table

    rows = [
        (route, *(result.counts.get((route, got), 0) or "" for got in result.routes), f"{result.recall(route):.1%}")
        for route in result.routes
    ]
    shown = console()
    shown.print(table("Rows: the right route. Columns: where auto sent it.", ("", *result.routes, "right"), rows))
    shown.print(f"\n{result.right} of {result.total} right: [bold]{result.share:.1%}[/bold]")
    shown.print(f"{result.microseconds:.0f} µs a text (p99 {result.p99_microseconds:.0f})")
