"""The commands `mix`, `sample`, `diff` and `export` of `patchbay data`."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from patchbay.adapters.commands.output import console, print_json, table
from patchbay.adapters.commands.session import AsJson, Config
from patchbay.tuning.commands.data_session import DataSession, Reference, command_line, data_session, show_made

if TYPE_CHECKING:
    from patchbay.registry.dataset_records import DatasetRecord
    from patchbay.tuning.data.mixing import MixPlan
    from patchbay.tuning.data.store import Origin, RowWriter

_Split = Annotated[str | None, typer.Option(help="Only this split: train, validation or test.")]
_Caps = Annotated[
    list[str] | None, typer.Option("--cap", metavar="NAME=ROWS", help="The most rows of a source; repeat it.")
]


def mix(  # noqa: PLR0913, PLR0917 - Typer makes an option of each parameter
    sources: Annotated[
        list[str], typer.Argument(metavar="NAME@N=WEIGHT…", help="Data sets, each with its weight in the mixture.")
    ],
    name: Annotated[str, typer.Option("--name", "-n", help="The name of the mixture.")],
    rows: Annotated[
        int | None, typer.Option(min=1, help="Rows of train. Default: as many as the weights allow.")
    ] = None,
    cap: _Caps = None,
    repeat: Annotated[bool, typer.Option("--repeat", help="Repeat rows of a source that is too small.")] = False,
    balance: Annotated[
        int | None, typer.Option(min=1, help="The most rows of a source with one and the same answer.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Another seed draws other rows.")] = 0,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Mixes data sets by weights, such as 70% of the task's own rows with general ones, against forgetting, and safety.
    Validation and test of each source go into the mixture's whole, so nothing that was held out is trained on.

    Example: patchbay data mix tickets@4=0.7 general@1=0.2 safety@1=0.1 --name blend
    """
    from patchbay.tuning.data.mixing import MixPlan, parse_sources, shares_of

    with data_session(config) as session:
        weights = parse_sources(sources)
        records = {given: session.record(given) for given in weights}
        caps = {given: int(most) for given, most in parse_sources(cap or ()).items()}
        _check_caps(caps, records)
        plan = MixPlan(weights=weights, rows=rows, caps=caps, repeat=repeat, balance=balance, seed=seed)
        with session.data.writing() as writer:
            counts = _mixed(session, records, plan, writer)
            made, created = session.keep(writer, name, _origin(records, counts))
        if not as_json:
            lines = [(given, f"{share:.0%}", counts[given]) for given, share in shares_of(counts).items()]
            console().print(table("Rows of train", ("source", "share", "number"), lines))
        show_made(made, created, as_json=as_json, sources=counts)


def _check_caps(caps: Mapping[str, int], records: "Mapping[str, DatasetRecord]") -> None:
    from patchbay.core.errors import ConfigError
    from patchbay.core.names import meant

    for name in caps:
        if name not in records:
            raise ConfigError(f"--cap {name}: that is no source of the mixture ({meant(name, records)}).")


def _mixed(
    session: DataSession, records: "Mapping[str, DatasetRecord]", plan: "MixPlan", writer: "RowWriter"
) -> dict[str, int]:
    """Writes the mixture, and returns how many rows of train came of each source."""
    from patchbay.tuning.data.mixing import drawn, quotas
    from patchbay.tuning.data.store import SPLITS

    available = {
        given: sum(split.rows for split in record.draft.splits if split.name == SPLITS[0])
        for given, record in records.items()
    }
    wanted, counts = quotas(plan, available), dict.fromkeys(records, 0)
    for given, record in records.items():
        train = (row for _, row in session.data.rows(record, SPLITS[0]))
        for row in drawn(train, wanted[given], plan, record.draft.name):
            writer.add(row)
            counts[given] += 1
        for split, row in session.data.rows(record):
            if split != SPLITS[0]:
                writer.add(row if row.marks.source else row.marked(source=record.draft.name), split)
    return counts


def _origin(records: "Mapping[str, DatasetRecord]", counts: Mapping[str, int]) -> "Origin":
    from patchbay.tuning.data.store import Origin

    found = list(records.values())

    def joined(values: list[str | None]) -> str | None:
        # What one of them does not say, the mixture cannot.
        said = [value for value in dict.fromkeys(values) if value is not None]
        return " AND ".join(said) if None not in values else None

    return Origin(
        source=", ".join(record.name for record in found),
        licence=joined([record.draft.licence for record in found]),
        consent=joined([record.draft.consent for record in found]),
        parents=tuple(record.name for record in found),
        command=command_line(),
        notes={"mixture": ", ".join(f"{records[given].name} {count}" for given, count in counts.items())},
    )


def sample(  # noqa: PLR0913, PLR0917 - Typer makes an option of each parameter
    reference: Reference,
    rows: Annotated[int, typer.Option(min=1, help="Rows to draw.")] = 5,
    seed: Annotated[int, typer.Option(help="Another seed draws other rows.")] = 0,
    split: _Split = None,
    unmasked: Annotated[bool, typer.Option("--unmasked", help="Show personal data and secrets, too.")] = False,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Shows rows drawn evenly, the same for the same seed, with what guards find taken out.

    Example: patchbay data sample tickets --rows 5 --seed 1
    """
    from patchbay.tuning.commands.data_show import show_rows
    from patchbay.tuning.data.lineage import sampled

    with data_session(config) as session:
        drawn = sampled(session.data, session.record(reference), rows, seed, split)
        if as_json:
            print_json([{"split": name, **row.document()} for name, row in drawn])
        else:
            show_rows(drawn, masked=not unmasked)


def diff(
    before: Annotated[str, typer.Argument(metavar="NAME@N", help="The earlier data set.")],
    after: Annotated[str, typer.Argument(metavar="NAME@N", help="The later one.")],
    rows: Annotated[int, typer.Option(min=0, help="Added and removed rows to show, of each.")] = 2,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Compares two data sets: rows that were added, removed, changed under their id, or moved to another split.

    Example: patchbay data diff tickets@1 tickets@2
    """
    from patchbay.tuning.commands.data_show import show_rows
    from patchbay.tuning.data.comparing import compared

    with data_session(config) as session:
        old, new = session.record(before), session.record(after)
        found = compared(session.data.rows(old), session.data.rows(new))
        counts = {
            "same": found.same,
            "moved": len(found.moved),
            "changed": len(found.changed),
            "added": len(found.added),
            "removed": len(found.removed),
        }
        if as_json:
            print_json({"before": old.name, "after": new.name, **counts, "changed_ids": found.changed[:1000]})
            return
        console().print(table(f"{old.name} and {new.name}", ("rows", "number"), list(counts.items())))
        for title, shown in (("Added", found.added[:rows]), ("Removed", found.removed[:rows])):
            if shown:
                console().print(f"\n[bold]{title}[/bold]")
                show_rows(shown, masked=True)


def export(
    reference: Reference,
    path: Annotated[Path, typer.Argument(help="A file (.jsonl, .json, .parquet, .csv), or a folder for all splits.")],
    split: _Split = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Writes a data set to files: one split, or all rows, into a file, or a JSONL file for each split into a folder.

    Example: patchbay data export tickets@3 train.parquet --split train
    """
    from patchbay.core.errors import NotFound
    from patchbay.tuning.data.exporting import export_rows

    with data_session(config) as session:
        record = session.record(reference)
        names = [one.name for one in record.draft.splits]
        if split is not None and split not in names:
            raise NotFound(f"{record.name} has no split '{split}'; it has {', '.join(names)}.")
        places = {path: split} if path.suffix else {path / f"{one}.jsonl": one for one in names if split in (None, one)}
        counts = {
            str(file): export_rows((row for _, row in session.data.rows(record, one)), file)
            for file, one in places.items()
        }
        if as_json:
            print_json({"name": record.name, "files": counts})
        for file, count in counts.items() if not as_json else ():
            typer.echo(f"{count} rows are in {file}.")
