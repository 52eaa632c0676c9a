"""The commands `list` and `show` of `patchbay data`."""

from typing import TYPE_CHECKING, Annotated

import typer

from patchbay.adapters.commands.output import console, facts, moment, print_json, size, table
from patchbay.adapters.commands.session import AsJson, Config
from patchbay.tuning.commands.data_session import Reference, data_session

if TYPE_CHECKING:
    from patchbay.registry.dataset_records import DatasetRecord
    from patchbay.tuning.data.rows import Row


def list_sets(
    name: Annotated[str | None, typer.Argument(help="Only the revisions of this data set.")] = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Lists data sets with their rows, licences and parents.

    Example: patchbay data list tickets
    """
    from patchbay.tuning.data.store import described

    with data_session(config) as session:
        found = session.data.registry.datasets.all(name)
        if as_json:
            print_json([described(record) for record in found])
            return
        if not found:
            typer.echo("There are no data sets yet: patchbay data import FILE --name NAME makes one.")
            return
        columns = ("data set", "rows", "kind", "splits", "licence", "made from", "made at")
        console().print(table("Data sets", columns, [_line(record) for record in found]))


def show(
    reference: Reference,
    rows: Annotated[int, typer.Option(min=0, help="Rows of each split to show, the first ones.")] = 2,
    unmasked: Annotated[
        bool, typer.Option("--unmasked", help="Show personal data and secrets, too, and not their kinds.")
    ] = False,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Shows a data set: where it comes from, how it was made, and its first rows, with what guards find taken out.

    Example: patchbay data show tickets@1 --rows 3
    """
    from itertools import islice

    from patchbay.tuning.data.store import described

    with data_session(config) as session:
        record = session.record(reference)
        splits = [split.name for split in record.draft.splits]
        found = [(name, row) for name in splits for _, row in islice(session.data.rows(record, name), rows)]
        if as_json:
            print_json({**described(record), "first": [{"split": name, **row.document()} for name, row in found]})
            return
        draft = record.draft
        shown = console()
        shown.print(f"\n[bold]{record.name}[/bold]")
        shown.print(
            facts(
                {
                    "rows": f"{draft.rows} ({', '.join(f'{split.name} {split.rows}' for split in draft.splits)})",
                    "kind": draft.kind,
                    "size": size(draft.bytes),
                    "digest": draft.digest,
                    "source": draft.source,
                    "licence": draft.licence,
                    "consent": draft.consent,
                    "made from": ", ".join(draft.parents),
                    "command": draft.command,
                    "made": f"{moment(record.created_at)} by {record.created_by}",
                    "retired": moment(record.retired_at),
                    **draft.notes,
                }
            )
        )
        show_rows(found, masked=not unmasked)


def show_rows(rows: "list[tuple[str, Row]]", *, masked: bool) -> None:
    """Prints rows as conversations. `masked`: whether what guards find is taken out."""
    from patchbay.tuning.data.guarding import compiled_guards
    from patchbay.tuning.data.rows import answer_text

    guards = compiled_guards() if masked and rows else None
    shown = console()
    for split, row in rows:
        shown.print(f"\n[dim]{split}[/dim] [dim]{row.marks.id or ''}[/dim]")
        for part, turns in row.parts.items():
            for message in turns:
                said = answer_text(message)
                who = message["role"] if part in ("messages", "prompt") else f"{part}: {message['role']}"
                text = guards.masked(said) if guards is not None else said
                shown.print(f"  {who}: {text[:1000]}", markup=False)
        if row.label is not None:
            shown.print(f"  label: {'good' if row.label else 'bad'}")


def _line(record: "DatasetRecord") -> tuple[object, ...]:
    draft = record.draft
    splits = ", ".join(f"{split.name} {split.rows}" for split in draft.splits)
    name = record.name if record.retired_at is None else f"{record.name} (retired)"
    made = moment(record.created_at)
    return name, draft.rows, draft.kind, splits, draft.licence, ", ".join(draft.parents) or None, made
