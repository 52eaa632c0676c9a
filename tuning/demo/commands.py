"""The command `patchbay demo`: makes the demo's models, and scores them where they are served."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from patchbay.core.errors import PatchbayError
from patchbay.core.paths import data_dir
from patchbay.tuning.demo.build import DemoModels, build_demo
from patchbay.tuning.demo.manifest import record_scores
from patchbay.tuning.demo.recipe import BASE_MODEL, SHIPPED_SEED
from patchbay.tuning.progress import ProgressSink, RichProgress, Silent

if TYPE_CHECKING:
    from patchbay.tuning.demo.score import ScoreReport

DEFAULT_URL = "http://127.0.0.1:8080"
CONCURRENCY = 16

app = typer.Typer(
    help="Make, serve and score the demo's models: a small int4 base and six adapters, made and not downloaded.",
    no_args_is_help=True,
)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines instead of a table.")]


@contextmanager
def reporting(silent: bool) -> Iterator[ProgressSink]:
    """Shows progress bars on standard error, and ends the command with exit code 1 and the message of our own
    errors."""
    console = Console(stderr=True)
    try:
        if silent:
            yield Silent()
            return
        with RichProgress(console) as bars:
            yield bars
    except PatchbayError as error:
        console.print(f"Error: {error}", style="red", markup=False, highlight=False)
        raise typer.Exit(1) from None


@app.command()
def build(
    folder: Annotated[
        Path | None, typer.Option("--data-dir", help="The folder for them. Default: the user directory.")
    ] = None,
    seed: Annotated[
        int, typer.Option(help="The seed. Another one than the default trains other models.")
    ] = SHIPPED_SEED,
    train: Annotated[
        bool, typer.Option("--train", help="Train from scratch instead of copying the shipped models (minutes).")
    ] = False,
    english: Annotated[
        bool, typer.Option("--english", help="The models on the real base, which is downloaded at the first time.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Puts the demo's tiny models, or those on a real base (--english), into the user directory.

    Example: patchbay demo build --data-dir ./data
    """
    with reporting(as_json) as progress:
        models = _built(folder or data_dir(), seed, train=train, english=english, progress=progress)
    show_models(models, as_json)


def _built(folder: Path, seed: int, *, train: bool, english: bool, progress: ProgressSink) -> DemoModels:
    if not english:
        return build_demo(folder, seed=seed, train=train, progress=progress)
    from patchbay.tuning.demo.english.build import build_english, train_english_demo

    if train:
        return train_english_demo(folder, progress)
    return build_english(folder, progress)


@app.command()
def score(
    url: Annotated[str, typer.Option(help="An OpenAI-compatible server that serves the demo's models.")] = DEFAULT_URL,
    api_key: Annotated[str | None, typer.Option(envvar="PATCHBAY_API_KEY", help="The server's API key.")] = None,
    examples: Annotated[
        int | None, typer.Option(min=1, help="Held-out examples per task. Default: 100, on the real base 20.")
    ] = None,
    base_model: Annotated[str, typer.Option(help="The name under which the base is served.")] = BASE_MODEL,
    record: Annotated[
        Path | None, typer.Option(help="Also note the scores in the manifest of this folder of models.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Scores the base and every adapter on held-out examples; the real base also with the best prompt for each task.
    Exit code 1: a target is missed.

    Example: patchbay demo score --url http://127.0.0.1:8080 --examples 100
    """
    with reporting(as_json) as progress:
        report = asyncio.run(_scored(url, api_key, examples, progress, base_model))
        if record:
            record_scores(record, report.as_json())
    if as_json:
        typer.echo(json.dumps(report.as_json(), indent=2))
    else:
        show_scores(report.as_json())
    if not report.passed:
        raise typer.Exit(1)


async def _scored(
    url: str, api_key: str | None, examples: int | None, progress: ProgressSink, base_model: str
) -> "ScoreReport":
    from patchbay.tuning.demo.english.score import score_english, serves_english
    from patchbay.tuning.demo.score import score_endpoint

    english = await serves_english(url, api_key)
    return await (score_english if english else score_endpoint)(
        url,
        api_key,
        examples=examples or (20 if english else 100),
        concurrency=CONCURRENCY,
        progress=progress,
        base_model=base_model,
    )


def show_models(models: DemoModels, as_json: bool) -> None:
    """Prints where the models are."""
    folders = {"base": str(models.base), "adapters": {name: str(path) for name, path in models.adapters.items()}}
    if as_json:
        typer.echo(json.dumps(folders, indent=2))
        return
    table = Table("model", "folder")
    table.add_row("base (int4)", str(models.base))
    for name, path in models.adapters.items():
        table.add_row(name, str(path))
    Console().print(table)


def show_scores(rows: list[dict[str, str | int | float | bool]]) -> None:
    """Prints a table with one line for each scored task."""
    table = Table("model", "task", "examples", "exact match", "target", "met")
    for row in rows:
        met = "[green]yes[/green]" if row["passed"] else "[red]no[/red]"
        rate = f"{float(row['exact_match']):.2f}"
        table.add_row(str(row["model"]), str(row["task"]), str(row["examples"]), rate, str(row["target"]), met)
    Console().print(table)
