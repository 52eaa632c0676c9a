"""The export of data sets to files that other tools read."""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from patchbay.core.distribution import translated_imports
from patchbay.core.errors import ConfigError, DataError
from patchbay.tuning.data.rows import Row, canonical
from patchbay.tuning.data.writing import whole_file

ENDINGS: Final = (".jsonl", ".json", ".parquet", ".csv")
_BATCH: Final = 1000


def export_rows(rows: Iterable[Row], path: Path) -> int:
    """Writes rows to a file by its ending, and returns their number.

    `.jsonl`, `.json` and `.parquet` have the canonical rows, in which calls of tools are texts of JSON in Parquet;
    `.csv` has prompt and completion, for rows of one question and its answer. Raises ConfigError where the ending is
    not known, DataError where the file cannot be written or a row does not fit.
    """
    if path.suffix not in ENDINGS:
        raise ConfigError(f"{path}: a file ends with {', '.join(ENDINGS)}.")
    count = 0

    def counted() -> Iterator[Row]:
        nonlocal count
        for row in rows:
            count += 1
            yield row

    if path.suffix == ".parquet":
        _write_parquet(counted(), path)
    else:
        with whole_file(path) as file:
            file.writelines(_TEXTS[path.suffix](counted()))
    return count


def _lines(rows: Iterable[Row]) -> Iterator[str]:
    return (canonical(row.document()).decode() for row in rows)


def _list(rows: Iterable[Row]) -> Iterator[str]:
    before = "[\n"
    for row in rows:
        yield before + canonical(row.document()).decode().rstrip("\n")
        before = ",\n"
    yield "\n]\n" if before != "[\n" else "[]\n"


def _csv(rows: Iterable[Row]) -> Iterator[str]:
    import csv
    import io

    for number, row in enumerate(rows, 1):
        line = io.StringIO()
        writer = csv.writer(line, lineterminator="\n")
        if number == 1:
            writer.writerow(("id", "prompt", "completion"))
        turns = row.parts.get("messages", ())
        if row.kind != "chat" or [turn["role"] for turn in turns if turn["role"] != "system"] != ["user", "assistant"]:
            raise DataError(f"Row {number} is no question with its answer: write .jsonl or .parquet.")
        writer.writerow((row.marks.id or "", row.asked, row.answers[0]))
        yield line.getvalue()


_TEXTS: Final = {".jsonl": _lines, ".json": _list, ".csv": _csv}


def _write_parquet(rows: Iterable[Row], path: Path) -> None:
    with translated_imports():
        import pyarrow
        import pyarrow.parquet

    part = path.with_name(f".{path.name}.part")
    writer = None
    try:
        for batch in _batches(rows):
            table = pyarrow.Table.from_pylist(batch, schema=_schema(pyarrow))
            writer = writer or pyarrow.parquet.ParquetWriter(part, table.schema)
            writer.write_table(table)
        if writer is None:
            raise DataError("There is no row to write.")
        writer.close()
        part.rename(path)
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror or error}.") from error
    finally:
        part.unlink(missing_ok=True)


def _batches(rows: Iterable[Row]) -> Iterator[list[dict[str, Any]]]:
    kept: list[dict[str, Any]] = []
    for row in rows:
        kept.append(_flat(row.document()))
        if len(kept) == _BATCH:
            yield kept
            kept = []
    if kept:
        yield kept


def _flat(document: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a row with calls and tools as texts: Arrow gives all objects of a column the same keys."""
    found = dict(document)
    for part in ("messages", "prompt", "chosen", "rejected", "completion"):
        if part in found:
            found[part] = [_flat_message(message) for message in found[part]]
    if "tools" in found:
        found["tools"] = json.dumps(found["tools"], ensure_ascii=False)
    return found


def _flat_message(message: Mapping[str, Any]) -> dict[str, Any]:
    calls = message.get("tool_calls")
    return {**message, "tool_calls": json.dumps(calls, ensure_ascii=False) if calls else None}


def _schema(pyarrow: Any) -> Any:
    text = pyarrow.string()
    names = ("role", "content", "name", "tool_calls", "tool_call_id")
    talk = pyarrow.list_(pyarrow.struct([(name, text) for name in names]))
    parts = [(part, talk) for part in ("messages", "prompt", "chosen", "rejected", "completion")]
    marks = [(name, text) for name in ("id", "group", "source", "language", "tools")]
    flags = [("label", pyarrow.bool_()), ("safety", pyarrow.bool_()), ("tags", pyarrow.list_(text))]
    return pyarrow.schema([*parts, *marks, *flags])
