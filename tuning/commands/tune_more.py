"""The commands `sweep`, `distill` and `launch-profile` of `patchbay tune`."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from patchbay.adapters.commands.output import console, print_json, print_json_line

if TYPE_CHECKING:
    from patchbay.tuning.training.sweep import TrialResult

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
RecipeFile = Annotated[Path, typer.Argument(metavar="RECIPE", help="The recipe, a YAML file.", exists=True)]


def sweep(
    recipe: RecipeFile,
    space: Annotated[Path, typer.Option(help="The space to search, a YAML file.", exists=True)],
    storage: Annotated[str | None, typer.Option(help="A database's URL. Default: a file of SQLite.")] = None,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Runs at the same time.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Searches the best values of some keys of a recipe, in many runs, and writes a table of them, a plot and the best
    recipe. A sweep that was killed is gone on with; more processes with the same storage share its trials.

    Example: patchbay tune sweep recipe.yaml --space space.yaml --workers 2
    """
    from patchbay.core.settings import load_yaml, parse_settings
    from patchbay.tuning.training.ablation import as_json as as_document
    from patchbay.tuning.training.ablation import write_ablation
    from patchbay.tuning.training.recipe import load_recipe
    from patchbay.tuning.training.space import SweepSpace
    from patchbay.tuning.training.start import run_folder
    from patchbay.tuning.training.sweep import Sweep

    wanted = load_recipe(recipe)
    folder = run_folder(wanted).with_name(f"{wanted.name}-sweep")
    searched = parse_settings(SweepSpace, load_yaml(space), source=str(space), file=space)
    url = storage or f"sqlite:///{folder.absolute() / 'study.db'}"

    def tell(trial: "TrialResult") -> None:
        if as_json:
            print_json_line({"event": "trial", **as_document(trial)})
        else:
            loss = "no loss" if trial.loss is None else f"loss {trial.loss:.4f}"
            typer.echo(f"trial {trial.number}: {trial.state}, {loss}, {dict(trial.values)}", err=True)

    trials = Sweep(recipe=wanted, space=searched, folder=folder, storage=url, workers=workers, tell=tell).run()
    best = write_ablation(folder, trials, wanted)
    if as_json:
        print_json_line({"event": "done", "folder": str(folder), "best": best and str(best)})
    else:
        from rich.markdown import Markdown

        console().print(Markdown((folder / "ablation.md").read_text(encoding="utf-8")))
        typer.echo(f"Next: patchbay tune run {best}" if best else "No trial was completed.")
    if best is None:
        raise typer.Exit(1)


def distill(  # noqa: PLR0913, PLR0917 - Typer makes an option of each parameter
    prompts: Annotated[Path, typer.Argument(help="Rows whose prompts are asked, as JSON lines.", exists=True)],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The file of chats to write, or to go on with.")],
    url: Annotated[str, typer.Option(help="An OpenAI-compatible server, such as your router.")],
    model: Annotated[str, typer.Option(help="The stronger model that answers.")],
    api_key: Annotated[str | None, typer.Option(envvar="PATCHBAY_API_KEY", help="The server's API key.")] = None,
    system: Annotated[str | None, typer.Option(help="A system prompt for the teacher, not kept in the rows.")] = None,
    max_tokens: Annotated[int, typer.Option(min=1, help="The most tokens of an answer.")] = 1024,
    temperature: Annotated[float, typer.Option(min=0, max=2, help="The temperature of answers.")] = 0.0,
    concurrency: Annotated[int, typer.Option(min=1, max=256, help="Requests at the same time.")] = 8,
    as_json: AsJson = False,
) -> None:
    """Has a stronger model answer the prompts of a data set, and writes its answers as chats to train on, each with
    where it comes from. Empty and cut answers are left out; prompts that are answered already are not asked again.

    Example: patchbay tune distill prompts.jsonl rows.jsonl --url http://127.0.0.1:8080 --model large
    """
    from dataclasses import asdict

    from rich.console import Console
    from rich.progress import Progress

    from patchbay.tuning.training.distill import TeacherModel, prompts_in
    from patchbay.tuning.training.distill import distill as distilled

    asked = prompts_in(prompts)
    teacher = TeacherModel(
        url=url,
        model=model,
        api_key=api_key,
        system=system,
        max_tokens=max_tokens,
        temperature=temperature,
        concurrency=concurrency,
    )
    with Progress(console=Console(stderr=True), disable=as_json) as bars:
        task = bars.add_task(f"asking {model}", total=len(asked))
        found = asyncio.run(distilled(asked, teacher, out, lambda: bars.advance(task)))
    if as_json:
        print_json(asdict(found) | {"out": str(out)})
        return
    left = found.empty + found.cut + found.refused
    typer.echo(
        f"{found.written} rows written to {out}, {found.there} were there, {left} answers left out "
        f"({found.empty} empty, {found.cut} cut, {found.refused} filtered)."
    )


def launch_profile(
    recipe: RecipeFile,
    out: Annotated[Path, typer.Option(help="The file to write.")] = Path("accelerate.yaml"),
    kind: Annotated[str | None, typer.Option(help="ddp, fsdp or deepspeed. Default: by the memory needed.")] = None,
    gpu: Annotated[str | None, typer.Option(help="A GPU in place of those of this machine, such as h100-80.")] = None,
    gpus: Annotated[int | None, typer.Option(min=1, help="How many, on each machine.")] = None,
    machines: Annotated[int, typer.Option(min=1, help="Machines that train together.")] = 1,
) -> None:
    """Writes a profile of `accelerate launch` that spreads a recipe over several GPUs: whole on each where it fits
    (DDP), else in pieces (FSDP, or DeepSpeed where it is installed).

    Example: patchbay tune launch-profile recipe.yaml --gpu h100-80 --gpus 8
    """
    from patchbay.core.errors import ConfigError
    from patchbay.tuning.training.checkpoints import write_text
    from patchbay.tuning.training.hardware import known_gpu, own_gpus
    from patchbay.tuning.training.profiles import KINDS, fitting_kind, profile_text
    from patchbay.tuning.training.recipe import load_recipe

    wanted = load_recipe(recipe)
    found = [known_gpu(gpu)] * (gpus or 1) if gpu else own_gpus()[:gpus]
    if kind is not None and kind not in KINDS:
        raise ConfigError(f"'{kind}' is no way to spread a run.", hint=f"Take one of {', '.join(KINDS)}.")
    chosen = next((one for one in KINDS if one == kind), None)
    if chosen is None:
        from patchbay.tuning.training.estimate import memory_parts
        from patchbay.tuning.training.measure import measured_workload, shape_of

        if not found:
            raise ConfigError("There is no GPU here.", hint="Name one: --gpu h100-80 --gpus 8.")
        parts = memory_parts(wanted, shape_of(wanted), measured_workload(wanted), found[0])
        chosen = fitting_kind(sum(parts.values()), found[0])
    write_text(out, profile_text(chosen, found, machines=machines))
    typer.echo(f"Written: {out} ({chosen}). Next: patchbay tune run {recipe} --profile {out}")
