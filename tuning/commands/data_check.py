"""The command `patchbay data check`: looks a data set over, for people and for CI."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from patchbay.adapters.commands.output import console, print_json, table
from patchbay.adapters.commands.session import DEFAULT_FILE, AsJson, Config
from patchbay.tuning.commands.data_session import counting, data_session

if TYPE_CHECKING:
    from patchbay.registry.dataset_records import DatasetRecord
    from patchbay.tuning.commands.data_session import DataSession
    from patchbay.tuning.data.check import DataCheck, NumberedRow
    from patchbay.tuning.data.findings import CheckReport, Level
    from patchbay.tuning.data.rows import Row


def check(  # noqa: PLR0913, PLR0917 - Typer makes an option of each parameter
    spec: Annotated[str, typer.Argument(metavar="NAME[@N]|PATH", help="A data set, or a file that is none yet.")],
    base: Annotated[Path | None, typer.Option(help="Count tokens as this base's folder does, by its template.")] = None,
    max_tokens: Annotated[
        int | None, typer.Option(min=1, help="The most tokens of a row. Default: the base's.")
    ] = None,
    against: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME|FILE", help="An evaluation suite that must not be in it; repeat it."),
    ] = None,
    near: Annotated[float, typer.Option(min=0.1, max=1, help="Similarity from which texts are nearly the same.")] = 0.8,
    report: Annotated[
        list[Path] | None, typer.Option(help="Also write the report to this .html, .md or .json; repeat it.")
    ] = None,
    fail_on: Annotated[
        str, typer.Option(help="Exit code 1 from this level on: error, warning, info or never.")
    ] = "error",
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Checks a data set: schema, lengths, template, duplicates, leakage, personal data and secrets, answers, balance,
    languages, characters, licence. Exit code 1: something at the level of --fail-on was found.

    Example: patchbay data check tickets@3 --base ./models/my-base --report report.html
    """
    with data_session(config) as session:
        level = _level(fail_on)
        asked = CheckOrder(spec, base, max_tokens, tuple(against or ()), near, config)
        found = run_check(session, asked, silent=as_json)
        for file in report or ():
            write_report(found, file)
        if as_json:
            print_json(found.document())
        else:
            _show(found, report or [])
        failed = found.findings.fails(level)
    raise typer.Exit(1 if failed else 0)


@dataclass(frozen=True, slots=True)
class CheckOrder:
    """The order to check one data set: the command's own arguments."""

    spec: str
    base: Path | None = None
    max_tokens: int | None = None
    against: tuple[str, ...] = ()
    near: float = 0.8
    config: Path | None = None


def run_check(session: "DataSession", asked: CheckOrder, *, silent: bool) -> "CheckReport":
    """Checks a data set, or a file that is none yet. Raises ConfigError, DataError, NotFound."""
    path = Path(asked.spec)
    record = None if path.exists() else session.record(asked.spec)
    check = CheckMaker(session, asked, record).made()
    total = record.draft.rows if record is not None else None
    with counting("checking", total, silent=silent) as progress:
        rows = numbered(session.data.rows(record)) if record is not None else _file_rows(path, check)
        report = check.run(rows, progress)
    report.facts.name = record.name if record is not None else str(path)
    report.facts.digest = record.draft.digest if record is not None else ""
    return report


@dataclass(frozen=True, slots=True)
class CheckMaker:
    """Makes the check of a data set, by what was asked for."""

    session: "DataSession"
    asked: CheckOrder
    record: "DatasetRecord | None"

    def made(self) -> "DataCheck":
        """Returns the check. Raises ConfigError, DataError, NotFound."""
        from patchbay.tuning.data.check import DataCheck, DataChecks
        from patchbay.tuning.data.guarding import compiled_guards
        from patchbay.tuning.data.token_checks import TokenCheck

        asked, draft = self.asked, self.record.draft if self.record is not None else None
        config = asked.config or (DEFAULT_FILE if DEFAULT_FILE.exists() else None)
        checks = DataChecks(
            guards=compiled_guards(config),
            tokens=TokenCheck(asked.base, asked.max_tokens) if asked.base is not None else None,
            suites={name: suite_of(self.session, name) for name in asked.against},
            near=asked.near,
            licence=draft.licence if draft is not None else None,
            consent=draft.consent if draft is not None else None,
        )
        return DataCheck(checks)


def suite_of(session: "DataSession", name: str) -> "Sequence[str]":
    """Returns what an evaluation suite asks: of a file, or of a data set. Raises ConfigError, DataError, NotFound."""
    from patchbay.tuning.data.check import suite_texts

    if Path(name).exists():
        return suite_texts(Path(name))
    return [row.asked for _, row in session.data.rows(session.record(name))]


def numbered(rows: "Iterable[tuple[str, Row]]") -> "Iterator[NumberedRow]":
    """Numbers rows within their splits, from 1."""
    from collections import Counter

    from patchbay.tuning.data.check import NumberedRow

    counts = Counter[str]()
    for split, row in rows:
        counts[split] += 1
        yield NumberedRow(split=split, number=counts[split], row=row)


def _file_rows(path: Path, check: "DataCheck") -> "Iterator[NumberedRow]":
    """Yields the rows of a file by their lines, and tells `check` of what is none."""
    from patchbay.tuning.data.check import NumberedRow
    from patchbay.tuning.data.formats import RecordReading, convert
    from patchbay.tuning.data.reading import records, source_files
    from patchbay.tuning.data.rows import RowFault

    for source in source_files(path):
        split = source.split or "train"
        for found in records(source.path):
            try:
                if found.fault is not None:
                    raise RowFault(found.fault)
                yield NumberedRow(split=split, number=found.line, row=convert(found.record, RecordReading()).row)
            except RowFault as fault:
                check.reject(split, found.line, fault.message)


def _level(name: str) -> "Level | Literal['never']":
    from patchbay.core.errors import ConfigError

    for level in ("error", "warning", "info", "never"):
        if name == level:
            return level
    raise ConfigError(f"There is no level '{name}': error, warning, info or never.")


def _show(report: "CheckReport", files: "Sequence[Path]") -> None:
    from patchbay.tuning.data.findings import CHECKS, LEVELS
    from patchbay.tuning.data.report_text import verdict

    shown, findings = console(), report.findings
    rows = [
        (check, level, count, meaning)
        for check, meaning in CHECKS.items()
        for level in LEVELS
        if (count := findings.counts[check, level])
    ]
    if rows:
        shown.print(table(f"Checks of {report.facts.name}", ("check", "level", "number", "looks for"), rows))
    for _, found in findings.worst_rows(5):
        shown.print(f"\n{found[0].place}", markup=False)
        for one in found[:4]:
            shown.print(f"  {one.level} {one.check}: {one.message}", markup=False)
    shown.print(f"\n{verdict(report)}", markup=False)
    for file in files:
        shown.print(f"The report is in {file}.", markup=False)


def write_report(report: "CheckReport", file: Path) -> None:
    """Writes a report in the format that the file's name ends with. Raises ConfigError, DataError."""
    from patchbay.core.errors import ConfigError
    from patchbay.tuning.data.report_page import report_html
    from patchbay.tuning.data.report_text import report_markdown
    from patchbay.tuning.data.writing import write_whole

    written = {".html": report_html, ".md": report_markdown, ".json": _as_json_text}
    if file.suffix not in written:
        raise ConfigError(f"{file} is no report's name: it ends with {', '.join(written)}.")
    write_whole(file, written[file.suffix](report))


def _as_json_text(report: "CheckReport") -> str:
    import json

    return json.dumps(report.document(), indent=2, ensure_ascii=False) + "\n"
