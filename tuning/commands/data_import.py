"""The command `patchbay data import`: makes a data set from files."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from patchbay.adapters.commands.output import console, table
from patchbay.adapters.commands.session import AsJson, Config
from patchbay.tuning.commands.data_session import command_line, counting, data_session, show_made

if TYPE_CHECKING:
    from patchbay.tuning.data.formats import RecordReading
    from patchbay.tuning.data.importing import ImportReport


_Column = Annotated[
    list[str] | None,
    typer.Option("--map", metavar="FIELD=COLUMN", help="Read this column as prompt, completion, group, …; repeat it."),
]
_Consent = Annotated[
    str | None, typer.Option(help="The ground on which people's words are used, such as 'terms of service, 4.2'.")
]
_Layout = Annotated[
    str | None, typer.Option("--format", help="Read every record as this format. Default: by its keys.")
]
_Marks = Annotated[
    list[str] | None, typer.Option("--mark", metavar="NAME=VALUE", help="Set a mark on every row; repeat it.")
]


def import_files(  # noqa: PLR0913, PLR0917 - Typer makes an option of each parameter
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH…", help="Files (.jsonl, .json, .csv, .parquet, .arrow), or folders.")
    ],
    name: Annotated[str, typer.Option("--name", "-n", help="The data set's name.")],
    licence: Annotated[str | None, typer.Option(help="An SPDX identifier, such as CC-BY-4.0, or 'own'.")] = None,
    consent: _Consent = None,
    source: Annotated[str | None, typer.Option(help="Where the rows come from. Default: the files' names.")] = None,
    column: _Column = None,
    system: Annotated[str | None, typer.Option(help="A system message for every conversation that has none.")] = None,
    layout: _Layout = None,
    mark: _Marks = None,
    rejects: Annotated[
        Path | None, typer.Option(help="The file for records that do not fit. Default: NAME.rejects.jsonl.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Import nothing where a record does not fit.")] = False,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Makes a data set from files: chats, instructions, prompts with completions, preference pairs or votes. What does
    not fit is listed with its line and reason, and kept in a file of its own.

    Example: patchbay data import tickets.csv --name tickets --map prompt=body --map completion=category
    """
    from patchbay.core.errors import DataError
    from patchbay.core.names import check_name
    from patchbay.tuning.data.importing import RejectFile, import_rows
    from patchbay.tuning.data.store import Origin

    with data_session(config) as session:
        check_name(name)
        reading = _reading(column, system, layout, mark)
        said = source or ", ".join(path.name for path in paths)
        origin = Origin(source=said, licence=licence, consent=consent, command=command_line())
        with session.data.writing() as writer, counting("importing", None, silent=as_json) as progress:
            beside = RejectFile(rejects or Path(f"{name}.rejects.jsonl"))
            report = import_rows(paths, reading, writer, beside, progress)
            if strict and report.rejected:
                raise DataError(
                    f"{report.rejected} records do not fit: {report.listed[0]}", hint=f"See {report.rejects}."
                )
            record, created = session.keep(writer, name, origin)
        if not as_json:
            _show_found(report)
        show_made(record, created, as_json=as_json, found=_document(report))


def _reading(
    columns: list[str] | None, system: str | None, layout: str | None, marks: list[str] | None
) -> "RecordReading":
    from patchbay.core.errors import ConfigError
    from patchbay.core.names import meant
    from patchbay.tuning.data.formats import RecordReading, check_format
    from patchbay.tuning.data.rows import MARKS

    fields = ("prompt", "completion", "messages", "chosen", "rejected", "label", "system", "tools", *MARKS)
    mapped, marked = _pairs(columns), _pairs(marks)
    for given, known in ((mapped, fields), (marked, MARKS)):
        for name in given:
            if name not in known:
                raise ConfigError(f"There is no field '{name}' ({meant(name, known)}).")
    return RecordReading(columns=mapped, system=system, format=check_format(layout), marks=marked)


def _pairs(given: list[str] | None) -> dict[str, str]:
    from patchbay.core.errors import ConfigError

    found = dict[str, str]()
    for text in given or ():
        name, separator, value = text.partition("=")
        if not separator or not name or not value:
            raise ConfigError(f"'{text}' is no pair.", hint="Write it as NAME=VALUE.")
        found[name] = value
    return found


def _document(report: "ImportReport") -> dict[str, object]:
    return {
        "files": report.files,
        "rows": report.rows,
        "formats": dict(report.formats),
        "unused": dict(report.unused),
        "rejected": report.rejected,
        "rejects": str(report.rejects) if report.rejects else None,
        "listed": report.listed,
    }


def _show_found(report: "ImportReport") -> None:
    shown = console()
    rows: list[tuple[str, object]] = [(f"rows read as {name}", count) for name, count in report.formats.most_common()]
    rows += [(f"left out: column '{name}'", count) for name, count in report.unused.most_common(8)]
    rows.append(("records that do not fit", report.rejected))
    shown.print(table(f"Found in {report.files} file{'s' * (report.files != 1)}", ("what", "number"), rows))
    for line in report.listed[:10]:
        shown.print(f"  {line}", markup=False)
    if report.rejects is not None:
        shown.print(f"All that do not fit are in {report.rejects}.", markup=False)
    shown.print()
