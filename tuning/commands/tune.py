"""The command `patchbay tune`: trains adapters by a recipe, and shows what was trained."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from patchbay.adapters.commands.output import console, facts, print_json, print_json_line, table

if TYPE_CHECKING:
    from patchbay.tuning.training.process import Event
    from patchbay.tuning.training.recipe import TrainingRecipe
    from patchbay.tuning.training.runs import RunRecord

app = typer.Typer(
    no_args_is_help=True, help="Train adapters by a recipe, over the base that serves, and look at what was trained."
)
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
RecipeFile = Annotated[Path, typer.Argument(metavar="RECIPE", help="The recipe, a YAML file.", exists=True)]
Runs = Annotated[Path, typer.Option("--runs", help="The folder that has the runs' folders.")]
_RUNS = Path("runs")


@app.command()
def run(
    recipe: RecipeFile,
    fresh: Annotated[bool, typer.Option("--fresh", help="Begin anew; a run that is there is kept beside it.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before a run of over an hour.")] = False,
    as_json: AsJson = False,
) -> None:
    """Trains an adapter by a recipe. A run that was killed goes on from its last whole checkpoint, to the same result;
    one that is done is shown.

    With --json, each event is one line: loading, rows, began, step, evaluation, checkpoint, warning, saving, done.

    Example: patchbay tune run recipe.yaml
    """
    from patchbay.tuning.training.recipe import load_recipe
    from patchbay.tuning.training.runs import locked
    from patchbay.tuning.training.start import open_run, run_folder, wanted_record

    wanted = load_recipe(recipe)
    folder = run_folder(wanted)
    record = wanted_record(wanted, f"patchbay tune run {recipe.name}")
    with locked(folder):
        step, found = open_run(folder, record, fresh=fresh)
        if step == "done":
            _show_result(folder, found, as_json=as_json)
            return
        _confirm(wanted, found, yes=yes)
        code = _train(folder, wanted, as_json=as_json)
    if code:
        raise typer.Exit(code)
    if not as_json:
        from patchbay.tuning.training.runs import read_record

        _show_result(folder, read_record(folder), as_json=False)


def _confirm(recipe: "TrainingRecipe", record: "RunRecord", *, yes: bool) -> None:
    """Asks before a run that will take over an hour by its estimate."""


def _train(folder: Path, recipe: "TrainingRecipe", *, as_json: bool) -> int:
    from rich.console import Console

    from patchbay.tuning.training.display import Display, RunProgress
    from patchbay.tuning.training.process import run_worker

    if as_json:
        return run_worker(folder, recipe, print_json_line)
    progress = RunProgress(recipe.schedule.batch * recipe.schedule.accumulation)
    faults: list[str] = []
    with Display(Console(stderr=True), recipe.name, progress) as display:
        code = run_worker(folder, recipe, _noting(display.take, faults))
    for fault in faults:
        typer.echo(f"error: {fault}", err=True)
    return code


def _noting(take: "Callable[[Event], None]", faults: list[str]) -> "Callable[[Event], None]":
    """Returns what takes an event, and notes the message of an error."""

    def noted(event: "Event") -> None:
        if event["event"] == "error":
            faults.append(" ".join(filter(None, (event["message"], event["hint"]))))
        take(event)

    return noted


def _show_result(folder: Path, record: "RunRecord", *, as_json: bool) -> None:
    from patchbay.tuning.training.result import served_how

    recipe = record.parsed()
    push = served_how(recipe, folder)
    if as_json:
        print_json({"event": "done", "folder": str(folder), "metrics": record.metrics, "push": push})
        return
    shown: dict[str, Any] = {
        "run": record.name,
        "folder": folder,
        "kept": f"step {int(record.metrics.get('best_step', 0))} of {record.steps}",
        "validation loss": _rounded(record.metrics.get("validation_loss")),
        "loss on general rows": _rounded(record.metrics.get("general_loss")),
    }
    console().print(facts(shown))
    for words in record.findings:
        console().print(f"! {words}", style="yellow", markup=False)
    console().print(f"\nNext: {push}", markup=False, soft_wrap=True)


def _rounded(value: float | None) -> str | None:
    return None if value is None else f"{value:.4f}"


@app.command()
def check(recipe: RecipeFile, as_json: AsJson = False) -> None:
    """Checks a recipe, its rows and its base, without training.

    Example: patchbay tune check recipe.yaml
    """
    from patchbay.tuning.training.data import read_all
    from patchbay.tuning.training.recipe import load_recipe
    from patchbay.tuning.training.start import wanted_record

    wanted = load_recipe(recipe)
    record = wanted_record(wanted, f"patchbay tune run {recipe.name}")
    rows = read_all(wanted, record.sources())
    counts = {"train": len(rows.train), "validation": len(rows.validation), "general": len(rows.general)}
    found = {
        "recipe": record.recipe_digest,
        "data": record.data_digest,
        "base": record.base_fingerprint,
        "rows": counts,
        "method": wanted.method,
    }
    if as_json:
        print_json(found)
        return
    console().print(facts(found | {"rows": ", ".join(f"{count} {name}" for name, count in counts.items() if count)}))


@app.command("list")
def list_runs(runs: Runs = _RUNS, as_json: AsJson = False) -> None:
    """Lists the runs below a folder, the newest first.

    Example: patchbay tune list --runs ./runs
    """
    from patchbay.tuning.training.runs import all_runs

    found = all_runs(runs)
    if as_json:
        print_json([{"folder": str(folder), **record.model_dump(mode="json")} for folder, record in found])
        return
    columns = ("run", "state", "method", "steps", "validation loss", "began")
    rows = [
        (
            folder.name,
            record.state,
            record.recipe.get("method"),
            record.steps,
            _rounded(record.metrics.get("validation_loss")),
            record.began,
        )
        for folder, record in found
    ]
    console().print(table(f"Runs in {runs}", columns, rows))


@app.command()
def show(
    run_dir: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run.")],
    as_json: AsJson = False,
) -> None:
    """Shows a run: what was trained from what, how it went, and what it left.

    Example: patchbay tune show runs/tickets
    """
    from patchbay.tuning.training.display import curve
    from patchbay.tuning.training.history import losses, read_history
    from patchbay.tuning.training.plot import smoothed
    from patchbay.tuning.training.runs import read_record

    record, points = read_record(run_dir), read_history(run_dir)
    if as_json:
        print_json(record.model_dump(mode="json") | {"history": [point.as_json() for point in points]})
        return
    told = ("name", "state", "steps", "recipe_digest", "data_digest", "base_fingerprint", "commit", "began", "ended")
    console().print(facts({name: getattr(record, name) for name in told} | record.metrics))
    trained = [value for _, value in losses(points, "loss")]
    if trained:
        console().print(f"\nloss  {trained[0]:.3f} {curve(smoothed(trained))} {smoothed(trained)[-1]:.3f}")
    for words in (*record.findings, *filter(None, [record.fault])):
        console().print(f"! {words}", style="yellow", markup=False)


@app.command()
def methods(as_json: AsJson = False) -> None:
    """Lists the methods of training, what a row of each has, and when to use it.

    Example: patchbay tune methods
    """
    from patchbay.tuning.training.methods import METHODS

    if as_json:
        print_json({name: {"keys": method.keys, "use": method.use} for name, method in METHODS.items()})
        return
    rows = [(name, ", ".join(method.keys), method.use, method.source) for name, method in METHODS.items()]
    console().print(table("Methods", ("method", "a row has", "use it when", "source"), rows))
