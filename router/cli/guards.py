"""The command `patchbay guards`: tries guards on a text, and measures their cost."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from patchbay.adapters.commands.session import DEFAULT_FILE, AsJson
from patchbay.core.errors import ConfigError, PatchbayError, fail
from patchbay.core.names import meant

if TYPE_CHECKING:
    from patchbay.guards.bench import Figures
    from patchbay.guards.verdict import FoundSpan
    from patchbay.router.settings.config import PolicyConfig

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Try guards on a text, and measure them.")
_TARGETS = (("median, µs", 15.0), ("99th percentile, µs", 60.0), ("held at the 99th percentile", 20.0))


@app.command("test")
def try_out(
    file: Annotated[str, typer.Argument(help="A file with the text. - reads standard input.")],
    config: Annotated[
        Path | None,
        typer.Option("--config", "-c", help="The file with `guards`. By default ./patchbay.yaml, if it exists."),
    ] = None,
    guard: Annotated[
        list[str] | None,
        typer.Option(help="Try only this guard; repeat it for more. Default: all. Built in: pii, secrets, profanity."),
    ] = None,
    side: Annotated[str, typer.Option(help="Treat the text as input or output.")] = "output",
    as_json: AsJson = False,
) -> None:
    """Shows what guards find in a text, where, and the text that would come out. Exit code 1: something was found.

    Example: echo "Mail jane@example.org" | patchbay guards test - --guard pii
    """
    from patchbay.adapters.commands.output import console, print_json, table
    from patchbay.guards.check import pattern_warnings

    try:
        text = typer.get_text_stream("stdin").read() if file == "-" else _read(Path(file))
        policy = _policy(config)
        spans, out = _tried(text, policy, guard, side)
        for warning in pattern_warnings(policy):
            typer.echo(f"warning: {warning}", err=True)
    except PatchbayError as error:
        raise typer.Exit(fail(error)) from error
    rows = [(span.guard, span.rule, span.kind, span.action, span.start, min(span.end, len(text))) for span in spans]
    names = ("guard", "rule", "kind", "action", "start", "end")
    if as_json:
        print_json({"spans": [dict(zip(names, row, strict=True)) for row in rows], "out": out})
    else:
        console().print(table("Found" if rows else "Nothing found", names, rows))
        console().print(out, markup=False)
    raise typer.Exit(1 if rows else 0)


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
    from patchbay.core.errors import PatchbayError
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


def _tried(text: str, policy: "PolicyConfig", only: list[str] | None, side: str) -> "tuple[list[FoundSpan], str]":
    from patchbay.guards.config import GuardsConfig, RulesGuard
    from patchbay.guards.pipeline import compile_guards
    from patchbay.guards.stream.channel import Channel
    from patchbay.router.settings.policy import user_cache

    if side not in ("input", "output"):
        raise ConfigError(f"There is no side '{side}': --side is input or output.")
    built_in: dict[str, Any] = {
        name: RulesGuard(kind="rules", sets=(name,), action="redact") for name in ("pii", "secrets", "profanity")
    }
    known = {**built_in, **policy.guards}
    chosen = tuple(only or (policy.guards or built_in))
    for name in chosen:
        if name not in known:
            raise ConfigError(f"There is no guard '{name}' ({meant(name, known)}).")
    # They are no route: what they do about one and the same thing need not go together.
    pipeline = compile_guards(GuardsConfig(guards=known), [], user_cache(), None).pipeline(chosen, "")
    if pipeline is None:
        return [], text
    judged = pipeline.judged(text) if side == "input" else []
    watches = pipeline.watches("input" if side == "input" else "output", None, escaped=False)
    if not watches:
        return judged, text
    channel = Channel(watches, lambda span: f"[{span.kind}]")
    first, last = channel.feed(text), channel.finish()
    return [*judged, *first.spans, *last.spans], first.text + last.text


def _policy(config: Path | None) -> "PolicyConfig":
    from patchbay.router.settings.config import PolicyConfig
    from patchbay.router.settings.policy import policy_in

    file = config or DEFAULT_FILE
    return PolicyConfig() if config is None and not file.exists() else policy_in(file)


def _read(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"Cannot read {file}: {error}.") from error
