"""The command `patchbay guards test`: shows what guards find in texts, files, folders and data sets."""

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from patchbay.adapters.commands.session import DEFAULT_FILE, AsJson
from patchbay.core.errors import ConfigError, PatchbayError
from patchbay.core.exit_codes import fail
from patchbay.core.names import meant

if TYPE_CHECKING:
    from rich.console import Console

    from patchbay.guards.looking import Looked
    from patchbay.guards.pipeline import Pipeline
    from patchbay.guards.verdict import Side
    from patchbay.router.cli.guard_report import LateProgress, Report, RuleKey, Shows, Totals
    from patchbay.router.cli.guard_texts import GivenFile, GivenText
    from patchbay.router.settings.config import PolicyConfig

_BUILT_IN: Final = ("pii", "secrets", "profanity")
# Kinds of guards that look at a text by itself. The others need a request and its answer.
_TRIED: Final = ("rules", "injection", "entities")
# Characters that are scored for injections at a time, so that a file may be larger than memory.
_SCORED: Final = 1 << 20
Paths = Annotated[
    list[str] | None,
    typer.Argument(help="Files, folders, data sets (.jsonl), or - for standard input.", metavar="PATH"),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardTrial:
    """The guards that are tried. `fields`: those of data sets that are read, all if there are none; `data_set`: whether
    standard input is one, too."""

    pipeline: "Pipeline"
    side: "Side"
    fields: Sequence[str]
    data_set: bool


def try_out(  # noqa: PLR0913, PLR0917 - Typer makes an option of each parameter
    paths: Paths = None,
    text: Annotated[str | None, typer.Option(help="Look at this text itself.")] = None,
    config: Annotated[
        Path | None,
        typer.Option("--config", "-c", help="The file with `guards`. By default ./patchbay.yaml, if it exists."),
    ] = None,
    guard: Annotated[
        list[str] | None,
        typer.Option(help="Try only this guard; repeat it for more. Default: all. Built in: pii, secrets, profanity."),
    ] = None,
    side: Annotated[str, typer.Option(help="Treat texts as input or output.")] = "output",
    field: Annotated[
        list[str] | None,
        typer.Option(help="Of data sets read only this field, such as messages.content; repeat it. Default: all."),
    ] = None,
    jsonl: Annotated[bool, typer.Option("--jsonl", help="Read every file as a data set, an object a line.")] = False,
    only_found: Annotated[
        bool, typer.Option("--only-found", help="Show only files and lines in which something was found.")
    ] = False,
    no_text: Annotated[bool, typer.Option("--no-text", help="Show kinds and places, and no text.")] = False,
    as_json: AsJson = False,
) -> None:
    """Shows what guards find in texts, files, folders and data sets for fine-tuning, and where. Exit code 1: something
    was found.

    Example: patchbay guards test notes/ train.jsonl --guard pii --only-found
    """
    from patchbay.adapters.commands.output import console
    from patchbay.guards.check import pattern_warnings
    from patchbay.router.cli.guard_report import JsonReport, PeoplesReport
    from patchbay.router.cli.guard_texts import given_files

    try:
        policy = _policy(config)
        trial = GuardTrial(
            pipeline=_pipeline(policy, guard, _side(side)), side=_side(side), fields=field or (), data_set=jsonl
        )
        for warning in [*pattern_warnings(policy), *_not_tried(policy, guard)]:
            typer.echo(f"warning: {warning}", err=True)
        files = list(given_files(_paths(paths, text), text))
        shown = console()
        shows: Shows = "places" if no_text else "lines" if only_found else "text"
        report = JsonReport() if as_json else PeoplesReport(shown, shows, only_found=only_found)
        totals = look_at(files, trial, report, _progress(shown, files))
    except PatchbayError as error:
        raise typer.Exit(fail(error)) from error
    raise typer.Exit(1 if totals.found else 0)


def look_at(files: "Sequence[GivenFile]", trial: GuardTrial, report: "Report", progress: "LateProgress") -> "Totals":
    """Looks at files one after the other, tells `report`, and returns the counts."""
    from patchbay.router.cli.guard_report import Totals

    totals = Totals()
    try:
        for file in files:
            _look_at_file(file, trial, (report, totals), progress)
    finally:
        progress.stop()
    report.finish(totals)
    return totals


def _look_at_file(
    file: "GivenFile", trial: GuardTrial, into: "tuple[Report, Totals]", progress: "LateProgress"
) -> None:
    from patchbay.router.cli.guard_texts import encoding_of, is_data_set, texts_in

    report, totals = into
    found: Counter[RuleKey] = Counter()
    has_begun = False
    try:
        with file.open() as opened:
            if (encoding := encoding_of(opened)) is None:
                totals.skipped.append((file.name, "binary"))
                return
            report.begin(file)
            has_begun = True
            fields = trial.fields if trial.data_set or trial.fields or is_data_set(file) else None
            for text in texts_in(opened, encoding, fields):
                totals.texts += 1
                totals.broken_lines += text.broken
                _look_at_text(text, trial, report, found, progress)
    except BrokenPipeError:
        # Nobody reads the report any more.
        raise
    except OSError as error:
        reason = error.strerror or "it cannot be read"
        totals.skipped.append((file.name, f"{reason}, after a part of it" if has_begun else reason))
        if not has_begun:
            return
        report.end_text()
    report.end(found)
    totals.files += 1
    totals.with_findings += bool(found)
    totals.found += found
    totals.in_files.update(found.keys())


def _look_at_text(
    text: "GivenText", trial: GuardTrial, report: "Report", found: "Counter[RuleKey]", progress: "LateProgress"
) -> None:
    from patchbay.router.cli.guard_report import key_of

    for looked in _looks(text, trial, progress):
        report.take(text, looked)
        found.update(key_of(one) for one in looked.found)
    report.end_text()


def _looks(text: "GivenText", trial: GuardTrial, progress: "LateProgress") -> "Iterator[Looked]":
    from patchbay.guards.looking import TextLook

    watches = trial.pipeline.watches(trial.side, None, escaped=text.in_json, lead=text.lead)
    look = TextLook(watches)
    scores = trial.side == "input" and bool(trial.pipeline.injections)
    scored = ""
    done = 0
    for piece in text.pieces:
        progress.tell(len(piece))
        yield look.feed(piece)
        if scores:
            scored += piece
            if len(scored) >= _SCORED:
                yield from _scored(scored, done, text, trial)
                scored, done = "", done + len(scored)
    yield look.finish()
    if scored:
        yield from _scored(scored, done, text, trial)


def _scored(part: str, at: int, text: "GivenText", trial: GuardTrial) -> "Iterator[Looked]":
    """Yields the injections that a part of a text, which begins at `at`, is taken for."""
    from dataclasses import replace

    from patchbay.guards.looking import Looked, PlacedSpan
    from patchbay.guards.prompts import TRUSTED

    if text.role not in TRUSTED:
        spans = trial.pipeline.judged(part, text.role)
        placed = [PlacedSpan(span=replace(span, start=at, end=at + len(part)), line=1, column=at + 1) for span in spans]
        yield Looked(parts=(), found=placed)


def _paths(paths: list[str] | None, text: str | None) -> list[str]:
    """Returns the paths; standard input where neither a path nor a text is given. Raises ConfigError where that is the
    keyboard."""
    if paths or text is not None:
        return paths or []
    if sys.stdin.isatty():
        raise ConfigError("There is nothing to look at: name files or folders, --text 'a text', or - to type it in.")
    return ["-"]


def _side(side: str) -> "Side":
    if side in ("input", "output"):
        return "input" if side == "input" else "output"
    raise ConfigError(f"There is no side '{side}': --side is input or output.")


def _pipeline(policy: "PolicyConfig", only: list[str] | None, side: "Side") -> "Pipeline":
    from patchbay.guards.config import GuardsConfig, RulesGuard
    from patchbay.guards.pipeline import compile_guards
    from patchbay.router.settings.policy import user_cache

    built_in: dict[str, Any] = {name: RulesGuard(kind="rules", sets=(name,), action="redact") for name in _BUILT_IN}
    known = {**built_in, **policy.guards}
    chosen = tuple(only or (policy.guards or built_in))
    for name in chosen:
        if name not in known:
            raise ConfigError(f"There is no guard '{name}' ({meant(name, known)}).")
    # They are no route: what they do about one and the same thing need not go together.
    made = compile_guards(GuardsConfig(guards=known), [], user_cache(), None).pipeline(chosen, "")
    looks = made is not None and (made.has_patterns(side) or made.asks_in(side))
    if made is None or not (looks or (side == "input" and made.injections)):
        raise ConfigError(f"None of the guards {', '.join(chosen)} looks at a text on the {side} side by itself.")
    return made


def _not_tried(policy: "PolicyConfig", only: list[str] | None) -> Iterator[str]:
    for name, guard in policy.guards.items():
        if (not only or name in only) and getattr(guard, "kind", "") not in _TRIED:
            yield f"The guard '{name}' is not tried: it needs a request and its answer."


def _policy(config: Path | None) -> "PolicyConfig":
    from patchbay.router.settings.config import PolicyConfig
    from patchbay.router.settings.policy import policy_in

    file = config or DEFAULT_FILE
    return PolicyConfig() if config is None and not file.exists() else policy_in(file)


def _progress(shown: "Console", files: "Sequence[GivenFile]") -> "LateProgress":
    """Makes the progress: on the terminal of the report where it is one, else on that of errors."""
    from rich.console import Console

    from patchbay.router.cli.guard_report import LateProgress

    where = shown if shown.is_terminal else Console(stderr=True)
    return LateProgress(where, sum(file.size or 0 for file in files))
