"""The command `patchbay data clean`: mends what is safe, as a new revision."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from patchbay.adapters.commands.output import console, table
from patchbay.adapters.commands.session import DEFAULT_FILE, AsJson, Config
from patchbay.tuning.commands.data_session import NewName, Reference, counting, data_session, made_from, show_made

if TYPE_CHECKING:
    from patchbay.tuning.data.cleaning import CleaningPlan, RowChange
    from patchbay.tuning.data.guarding import TextGuards


def clean(  # noqa: PLR0913, PLR0917 - Typer makes an option of each parameter
    reference: Reference,
    redact: Annotated[
        list[str] | None,
        typer.Option(help="Replace these by their kind: pii, secrets, or a kind such as EMAIL; repeat it."),
    ] = None,
    drop: Annotated[
        list[str] | None,
        typer.Option(help="Drop rows: empty, cut, near-duplicates, leakage, contradictions, pii, secrets; repeat it."),
    ] = None,
    against: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME|FILE", help="Drop rows that an evaluation suite asks, nearly; repeat it."),
    ] = None,
    near: Annotated[float, typer.Option(min=0.1, max=1, help="Similarity from which texts are nearly the same.")] = 0.8,
    changes: Annotated[Path | None, typer.Option(help="The list of changes. Default: NAME-N.changes.jsonl.")] = None,
    name: NewName = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Mends what is safe: spacing, unseen and control characters, Unicode's form, texts read in a wrong encoding, exact
    duplicates. The result is a new revision; every change is listed.

    Example: patchbay data clean tickets@1 --redact pii --redact secrets --drop empty
    """
    from patchbay.tuning.commands.data_check import suite_of
    from patchbay.tuning.data.cleaning import Cleaning, cleaning_plan

    with data_session(config) as session:
        record = session.record(reference)
        suites = [text for suite in against or () for text in suite_of(session, suite)]
        plan = cleaning_plan(redact or (), drop or (), near, suites)
        guards = _guards(plan, config)
        file = changes or Path(f"{record.draft.name}-{record.number}.changes.jsonl")
        with (
            counting("cleaning", record.draft.rows, silent=as_json) as progress,
            session.data.writing() as writer,
            _listing(file) as tell,
        ):
            cleaning = Cleaning(plan, guards, tell)
            for split, row in cleaning.run(lambda: session.data.rows(record)):
                writer.add(row, split)
                progress(1)
            notes = {"changes": ", ".join(f"{what} {n}" for what, n in cleaning.counts.most_common()) or "none"}
            made, created = session.keep(writer, name or record.draft.name, made_from(record, notes=notes))
        if not as_json:
            _show(cleaning.counts, file)
        show_made(made, created, as_json=as_json, changes=dict(cleaning.counts), listed=str(file))


def _guards(plan: "CleaningPlan", config: Path | None) -> "TextGuards | None":
    from patchbay.tuning.data.guarding import SETS, compiled_guards

    if not plan.redact and not plan.drop & set(SETS):
        return None
    return compiled_guards(config or (DEFAULT_FILE if DEFAULT_FILE.exists() else None))


@contextmanager
def _listing(path: Path) -> "Iterator[Callable[[RowChange], None]]":
    """Writes changes to a file of JSON lines, which is whole or not there."""
    from patchbay.tuning.data.writing import whole_file

    with whole_file(path) as file:

        def tell(change: "RowChange") -> None:
            file.write(json.dumps({name: value for name, value in asdict(change).items() if value}) + "\n")

        yield tell


def _show(counts: Mapping[str, int], file: Path) -> None:
    shown = console()
    rows = sorted(counts.items(), key=lambda item: -item[1]) or [("nothing", 0)]
    shown.print(table("Changes", ("what", "number"), rows))
    shown.print(f"Each is in {file}.\n", markup=False)
