"""The import of files into a data set: what is found in them, and what does not fit, line by line."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from patchbay.core.errors import DataError
from patchbay.tuning.data.formats import RecordReading, convert
from patchbay.tuning.data.reading import FoundRecord, SourceFile, records, source_files
from patchbay.tuning.data.rows import Kind, Row, RowFault
from patchbay.tuning.data.store import SPLITS, RowWriter

# Faults that a report lists; the file of rejects has them all.
_LISTED: Final = 20
Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reject:
    """A record that is no row of the data set: where it stands, why, and what it is."""

    file: str
    line: int
    reason: str
    record: Any


@dataclass(slots=True, kw_only=True)
class ImportReport:
    """The report of an import. `formats`: rows by the format that they were read as; `unused`: keys that have no place
    in a row, with the number of rows that had them; `rejected`: the number of records that do not fit; `listed`: the
    first of them, without their contents; `rejects`: the file that has them all, None where there are none."""

    files: int = 0
    rows: int = 0
    kind: Kind | None = None
    formats: Counter[str] = field(default_factory=Counter)
    splits: Counter[str] = field(default_factory=Counter)
    unused: Counter[str] = field(default_factory=Counter)
    rejected: int = 0
    listed: list[str] = field(default_factory=list)
    rejects: Path | None = None


class RejectFile:
    """Writes records that do not fit to a file of JSON lines, which is made with the first of them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._began = False

    def add(self, reject: Reject) -> Path:
        """Appends a record, and returns the file. Raises DataError where it cannot be written."""
        line = {"file": reject.file, "line": reject.line, "reason": reject.reason, "record": reject.record}
        try:
            with self._path.open("a" if self._began else "w", encoding="utf-8", errors="backslashreplace") as file:
                file.write(json.dumps(line, ensure_ascii=False, default=str) + "\n")
        except OSError as error:
            raise DataError(f"{self._path} cannot be written: {error.strerror}.") from error
        self._began = True
        return self._path


def import_rows(
    paths: Sequence[Path], reading: RecordReading, writer: RowWriter, rejects: RejectFile, progress: Progress
) -> ImportReport:
    """Reads files into `writer`. Records that do not fit go to `rejects`.

    The data set's kind is that of its first row. `progress`: called with the number of records, now and then. Raises
    ConfigError where a file's format is not known, DataError where one cannot be read any further, or no row fits.
    """
    report = ImportReport()
    for source in [file for path in paths for file in source_files(path)]:
        report.files += 1
        for count, found in enumerate(records(source.path), 1):
            _take(found, source, reading, (report, writer, rejects))
            if count % 100 == 0:
                progress(100)
    if report.rows == 0:
        first = f" The first: {report.listed[0]}" if report.listed else ""
        raise DataError(f"No row of {len(paths)} source(s) fits: {report.rejected} were rejected.{first}")
    return report


def _take(
    found: FoundRecord, source: SourceFile, reading: RecordReading, into: tuple[ImportReport, RowWriter, RejectFile]
) -> None:
    report, writer, rejects = into
    try:
        row = _row(found, reading, report)
    except RowFault as fault:
        reject = Reject(file=str(source.path), line=found.line, reason=fault.message, record=found.record)
        report.rejected += 1
        report.rejects = rejects.add(reject)
        if len(report.listed) < _LISTED:
            report.listed.append(f"{source.path.name}:{found.line}: {fault.message}")
        return
    split = source.split or SPLITS[0]
    writer.add(row, split)
    report.rows += 1
    report.splits[split] += 1


def _row(found: FoundRecord, reading: RecordReading, report: ImportReport) -> Row:
    if found.fault is not None:
        raise RowFault(found.fault)
    converted = convert(found.record, reading)
    kind = converted.row.kind
    if report.kind not in (None, kind):
        raise RowFault(f"it is a {kind} row, and those before are {report.kind} rows: import it by itself.")
    report.kind = kind
    report.formats[converted.format] += 1
    report.unused.update(converted.unused)
    return converted.row


def rows_of_file(path: Path) -> Iterator[Row]:
    """Reads a file's rows, each by its own format. Raises DataError at the first record that is no row."""
    for source in source_files(path):
        for found in records(source.path):
            try:
                if found.fault is not None:
                    raise RowFault(found.fault)
                yield convert(found.record, RecordReading()).row
            except RowFault as fault:
                raise DataError(f"{source.path}, line {found.line}: {fault.message}") from fault
