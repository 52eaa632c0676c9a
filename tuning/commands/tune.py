"""The command `patchbay tune`: trains adapters by a recipe, and shows what was trained."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from patchbay.adapters.commands.output import console, facts, print_json, print_json_line, size, table
from patchbay.tuning.commands import tune_more as more
from patchbay.tuning.commands.parity import parity

if TYPE_CHECKING:
    from patchbay.tuning.training.estimate import Estimate
    from patchbay.tuning.training.process import Event
    from patchbay.tuning.training.recipe import TrainingRecipe
    from patchbay.tuning.training.runs import RunRecord

app = typer.Typer(
    no_args_is_help=True, help="Train adapters by a recipe, over the base that serves, and look at what was trained."
)
app.command("sweep")(more.sweep)
app.command("distill")(more.distill)
app.command("launch-profile")(more.launch_profile)
app.command("parity")(parity)
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
RecipeFile = Annotated[Path, typer.Argument(metavar="RECIPE", help="The recipe, a YAML file.", exists=True)]
Runs = Annotated[Path, typer.Option("--runs", help="The folder that has the runs' folders.")]
_RUNS = Path("runs")
_HOUR_S = 3600


@app.command()
def run(
    recipe: RecipeFile,
    fresh: Annotated[bool, typer.Option("--fresh", help="Begin anew; a run that is there is kept beside it.")] = False,
    profile: Annotated[
        Path | None, typer.Option(help="A profile of `patchbay tune launch-profile`, for several GPUs.", exists=True)
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before a run of over an hour.")] = False,
    as_json: AsJson = False,
) -> None:
    """Trains an adapter by a recipe. A run that was killed goes on from its last whole checkpoint, to the same result;
    one that is done is shown.

    With --json, each event is one line: loading, rows, began, step, evaluation, checkpoint, warning, saving, done.

    Example: patchbay tune run recipe.yaml
    """
    from patchbay.tuning.training.process import launcher
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
        _confirm(wanted, folder, yes=yes)
        code = _train(folder, wanted, launcher(profile), as_json=as_json)
    if code:
        raise typer.Exit(code)
    if not as_json:
        from patchbay.tuning.training.runs import read_record

        _show_result(folder, read_record(folder), as_json=False)


def _confirm(recipe: "TrainingRecipe", folder: Path, *, yes: bool) -> None:
    """Notes the run's estimate, and asks before one of over an hour, or one that does not fit into the memory."""
    from patchbay.core.errors import ConfigError
    from patchbay.tuning.training.display import duration
    from patchbay.tuning.training.measure import estimate_here
    from patchbay.tuning.training.runs import update

    found = estimate_here(recipe)
    noted = {"memory_bytes": found.memory, "seconds": found.seconds, "steps": float(found.steps)}
    update(folder, estimate=noted)
    if yes or (found.fits and found.seconds <= _HOUR_S):
        return
    lacks = "" if found.fits else f", of which {size(found.available)} are free"
    told = f"This takes about {duration(found.seconds)} and {size(round(found.memory))} of memory{lacks}"
    if not sys.stdin.isatty():
        raise ConfigError(f"{told}.", hint="Say --yes to begin all the same, or look at `patchbay tune estimate`.")
    typer.confirm(f"{told}. Begin?", abort=True)


def _train(folder: Path, recipe: "TrainingRecipe", start: Sequence[str], *, as_json: bool) -> int:
    from rich.console import Console

    from patchbay.tuning.training.display import Display, RunProgress
    from patchbay.tuning.training.process import run_worker

    if as_json:
        return run_worker(folder, recipe, print_json_line, start)
    progress = RunProgress(recipe.schedule.batch * recipe.schedule.accumulation)
    faults: list[str] = []
    with Display(Console(stderr=True), recipe.name, progress) as display:
        code = run_worker(folder, recipe, _noting(display.take, faults), start)
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


@app.command()
def estimate(  # noqa: PLR0913, PLR0917 - Typer makes an option of each parameter
    recipe: RecipeFile,
    gpu: Annotated[str | None, typer.Option(help="A GPU in place of this machine, such as h100-80.")] = None,
    gpus: Annotated[int, typer.Option(min=1, help="How many of them share the rows.")] = 1,
    like: Annotated[str | None, typer.Option(help="A known shape of the base, such as llama-8b, or a folder.")] = None,
    rows: Annotated[int | None, typer.Option(min=1, help="Rows to train on, in place of counting them.")] = None,
    tokens: Annotated[int | None, typer.Option(min=1, help="Tokens of an average row; with --rows.")] = None,
    as_json: AsJson = False,
) -> None:
    """Estimates a run's memory by parts, its steps and its time, without training. Exit code 1: it does not fit.

    Example: patchbay tune estimate recipe.yaml --gpu h100-80
    """
    from patchbay.tuning.training.advice import saved
    from patchbay.tuning.training.estimate import Workload
    from patchbay.tuning.training.estimate import estimate as estimated
    from patchbay.tuning.training.measure import device_of, measured_workload, shape_of
    from patchbay.tuning.training.recipe import load_recipe

    wanted = load_recipe(recipe)
    if rows is None:
        work = measured_workload(wanted)
    else:
        length = float(tokens or wanted.data.max_length)
        work = Workload(rows=rows, tokens=length, longest=min(1.5 * length, wanted.data.max_length))
    shape, (device, _) = shape_of(wanted, like), device_of(wanted, gpu)
    found = estimated(wanted, shape, work, device, devices=gpus)
    left = saved(wanted, lambda changed: estimated(changed, shape, work, device, devices=gpus).memory)
    _show_estimate(found, [] if found.fits else left, as_json=as_json)
    if not found.fits:
        raise typer.Exit(1)


def _show_estimate(found: "Estimate", left: list[tuple[str, float]], *, as_json: bool) -> None:
    from patchbay.tuning.training.display import duration

    if as_json:
        document = asdict(found) | {"parts": dict(found.parts), "memory": found.memory}
        print_json(document | {"savings": [{"change": change, "memory": memory} for change, memory in left]})
        return
    rows = [(name, size(round(count))) for name, count in found.parts.items()]
    verdict = "it fits" if found.fits else "it does not fit"
    rows.append(("together", f"{size(round(found.memory))} of {size(found.available)}: {verdict}"))
    console().print(table(f"Memory on {found.device}", ("part", "bytes"), rows))
    console().print(f"\n{found.trained:,} parameters learn, in {found.steps} steps: about {duration(found.seconds)}.")
    for change, memory in left:
        console().print(f"with {change}: {size(round(memory))}", markup=False)


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
    page: Annotated[Path | None, typer.Option(help="Also write a page with its curves, for a browser.")] = None,
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
    if page is not None:
        from patchbay.tuning.training.page import write_page
        from patchbay.tuning.training.result import served_how

        write_page(page, record, points, served_how(record.parsed(), run_dir))
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
def init(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="The file to write.")] = Path("recipe.yaml"),
    name: Annotated[str, typer.Option(help="The run's name.")] = "my-adapter",
    method: Annotated[str, typer.Option(help="sft, dpo, orpo or kto: `patchbay tune methods`.")] = "sft",
    base: Annotated[str, typer.Option(help="The folder of the base model that serves.")] = "./base",
    train: Annotated[str, typer.Option(help="The file of training rows, or NAME@N of a data set.")] = "./train.jsonl",
) -> None:
    """Writes a recipe with comments, to begin with.

    Example: patchbay tune init recipe.yaml --name tickets --base ./models/my-base --train ./tickets.jsonl
    """
    from patchbay.core.errors import ConfigError, Conflict
    from patchbay.tuning.training.methods import METHODS
    from patchbay.tuning.training.starter import starter_recipe

    chosen = next((known for known in METHODS if known == method), None)
    if chosen is None:
        raise ConfigError(f"'{method}' is no method.", hint=f"Take one of {', '.join(METHODS)}.")
    text = starter_recipe(name, method=chosen, base=base, train=train, file=recipe.name)
    try:
        with recipe.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise Conflict(f"{recipe} exists already.", hint="Give another file name.") from error
    except OSError as error:
        raise ConfigError(f"{recipe} cannot be written: {error.strerror}.") from error
    typer.echo(f"Written: {recipe}. Next: patchbay tune check {recipe}")


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
