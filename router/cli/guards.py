"""The command `patchbay guards`: tries guards on texts, and measures their cost."""

from typing import TYPE_CHECKING, Annotated

import typer

from patchbay.adapters.commands.session import AsJson
from patchbay.core.errors import ConfigError, PatchbayError
from patchbay.core.exit_codes import fail
from patchbay.core.names import meant
from patchbay.router.cli.guard_trial import try_out

if TYPE_CHECKING:
    from patchbay.guards.bench import Figures

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Try guards on texts, and measure them.")
_TARGETS = (("median, µs", 15.0), ("99th percentile, µs", 60.0), ("held at the 99th percentile", 20.0))


app.command("test")(try_out)


@app.command("rules")
def rules(
    only: Annotated[list[str] | None, typer.Option("--set", help="Show only this set; repeat it for more.")] = None,
    as_json: AsJson = False,
) -> None:
    """Lists the built-in rules: kind, country, an example, how sure they are, and what a match needs beside its form: a
    check (such as a check digit), words before it that name it, or that it stands apart.

    Example: patchbay guards rules --set secrets
    """
    from dataclasses import asdict

    from patchbay.adapters.commands.output import console, print_json, table
    from patchbay.guards.rules.catalog import SETS
    from patchbay.guards.rules.listing import listed

    for name in only or ():
        if name not in SETS:
            raise typer.Exit(fail(ConfigError(f"There is no set '{name}' ({meant(name, SETS)}).")))
    shown = [rule for rule in listed() if not only or rule.set in only]
    if as_json:
        print_json([asdict(rule) for rule in shown])
        return
    rows = [
        (rule.set, rule.name, rule.kind, rule.country, rule.confidence, ", ".join(rule.needs), _line(rule.examples[0]))
        for rule in shown
    ]
    console().print(table("Built-in rules", ("set", "rule", "kind", "country", "sure", "needs", "example"), rows))


def _line(text: str) -> str:
    return text.replace("\n", " ")[:40]


@app.command("bench")
def bench(
    chars: Annotated[int, typer.Option(min=10_000, help="Characters of prose to stream.")] = 400_000,
    chunk: Annotated[int, typer.Option(min=1, help="Characters per chunk.")] = 20,
    seed: Annotated[int, typer.Option(help="Seed for the places of planted examples, and of cuts.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Measures the built-in rules on a stream: their cost, the text that they hold back, and leaks. Exit code 1: a
    target is missed.

    Example: patchbay guards bench --chars 200000
    """
    from dataclasses import asdict

    from rich.progress import Progress

    from patchbay.adapters.commands.output import console, print_json, table
    from patchbay.guards.bench import measure
    from patchbay.router.settings.policy import user_cache

    try:
        with Progress(transient=True, disable=as_json) as progress:
            task = progress.add_task("streaming", total=chars)
            got = measure(
                user_cache(),
                chars=chars,
                chunk=chunk,
                seed=seed,
                on_progress=lambda done: progress.update(task, completed=done),
            )
    except PatchbayError as error:
        raise typer.Exit(fail(error)) from error
    missed = [
        name for (name, most), value in zip(_TARGETS, (*got.ours_us, got.held[1]), strict=True) if value > most
    ] + (["leaked spans"] if got.leaked else [])
    if as_json:
        print_json({**asdict(got), "missed": missed})
    else:
        console().print(table("Guards on a stream", ("what", "figure", "target"), _rows(got)))
        console().print(f"missed: {', '.join(missed)}" if missed else "all targets met")
    raise typer.Exit(1 if missed else 0)


def _rows(got: "Figures") -> list[tuple[str, object, str]]:
    return [
        ("rules", got.rules, ""),
        ("chunks", got.chunks, ""),
        ("a chunk, median, µs", f"{got.ours_us[0]:.1f}", "at most 15"),
        ("a chunk, 99th percentile, µs", f"{got.ours_us[1]:.1f}", "at most 60"),
        ("plain re rescan, median, µs", f"{got.rescan_us[0]:.1f}", ""),
        ("plain re rescan, 99th percentile, µs", f"{got.rescan_us[1]:.1f}", ""),
        ("clean prose held, median, characters", f"{got.held[0]:.0f}", ""),
        ("clean prose held, 99th percentile", f"{got.held[1]:.0f}", "at most 20"),
        ("spans planted", got.spans, ""),
        ("spans leaked", got.leaked, "0"),
        ("spans leaked, each chunk checked alone", got.leaked_alone, ""),
        ("found in the prose itself", got.found_in_prose, ""),
    ]
