"""The readers of files with records: JSON Lines, JSON, CSV, Parquet, Arrow, and folders of them as the Hub has them.

All read piece by piece: of a file one record, or one batch of a few hundred, is in memory at a time.
"""

import csv
import gzip
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any, Final

from patchbay.core.errors import ConfigError, DataError

# A longer line is no row that anything could be trained on.
MOST_LINE: Final = 1 << 24
_BLOCK: Final = 1 << 16
_BATCH: Final = 256
_DECODER: Final = json.JSONDecoder()


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundRecord:
    """A record in a file. `line`: the line that it begins in, or its number in a file without lines, from 1; `record`:
    what stands there; `fault`: why that cannot be read, and then `record` is its text."""

    line: int
    record: Any
    fault: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """A file to read. `split`: that its name or folder says, None where they say none."""

    path: Path
    split: str | None = None


def source_files(path: Path) -> tuple[SourceFile, ...]:
    """Lists the files with records at `path`: itself, or all in a folder, such as one of `save_to_disk`. Raises
    ConfigError where there are none."""
    if path.is_file():
        reader_of(path)
        return (SourceFile(path=path),)
    if not path.is_dir():
        raise ConfigError(f"There is no file {path}.", hint="Name a file, or a folder of files.")
    found = [
        one for one in sorted(path.rglob("*")) if one.is_file() and _suffix(one) in READERS and _is_data(one, path)
    ]
    if not found:
        raise ConfigError(f"{path} has no file with records ({', '.join(sorted(READERS))}).")
    return tuple(SourceFile(path=one, split=split_of(one.relative_to(path))) for one in found)


def records(path: Path) -> Iterator[FoundRecord]:
    """Reads the records of a file, in order. Raises DataError where it cannot be read any further."""
    reader = reader_of(path)
    with _translated(path):
        yield from reader(path)


def reader_of(path: Path) -> Callable[[Path], Iterator[FoundRecord]]:
    """Returns the reader of a file, by its name. Raises ConfigError where its format is not known."""
    reader = READERS.get(_suffix(path))
    if reader is None:
        raise ConfigError(f"{path}: its format is not known.", hint=f"Known are {', '.join(sorted(READERS))}.")
    return reader


_SPLITS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "train": "train",
        "training": "train",
        "validation": "validation",
        "valid": "validation",
        "val": "validation",
        "dev": "validation",
        "eval": "validation",
        "test": "test",
        "testing": "test",
    }
)


def split_of(path: Path) -> str | None:
    """Says which split a file's name, or its folder's, means: `train-00000-of-00002.parquet` is of `train`."""
    for part in reversed(path.parts):
        for word in re.split(r"[^a-z]+", part.lower()):
            if word in _SPLITS:
                return _SPLITS[word]
    return None


def _suffix(path: Path) -> str:
    ends = [suffix.lower() for suffix in path.suffixes]
    return "".join(ends[-2:]) if ends[-1:] == [".gz"] else "".join(ends[-1:])


def _is_data(path: Path, root: Path) -> bool:
    """Whether a file in a folder has records: not what `save_to_disk` and the Hub keep beside them."""
    hidden = any(part.startswith(".") for part in path.relative_to(root).parts)
    beside = path.name in ("dataset_info.json", "state.json", "dataset_dict.json", "dataset_infos.json")
    return not hidden and not beside and not path.name.startswith("cache-")


def _json_lines(path: Path) -> Iterator[FoundRecord]:
    with _opened(path) as file:
        number = 0
        while line := file.readline(MOST_LINE + 1):
            number += 1
            if len(line) > MOST_LINE and not line.endswith(b"\n"):
                _skip_line(file)
                yield FoundRecord(
                    line=number, record=line[:200].decode(errors="replace"), fault="the line is too long."
                )
            elif line.strip():
                yield _json_line(line, number)


def _json_line(line: bytes, number: int) -> FoundRecord:
    try:
        text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        return FoundRecord(line=number, record=json.loads(text))
    except UnicodeDecodeError as error:
        fault = f"it is no UTF-8 at byte {error.start + 1}."
    except (ValueError, RecursionError) as error:
        fault = f"it is no JSON: {error}."
    return FoundRecord(line=number, record=line.decode(errors="replace").rstrip("\n"), fault=fault)


def _skip_line(file: IO[bytes]) -> None:
    while (rest := file.readline(MOST_LINE)) and not rest.endswith(b"\n"):
        pass


def _json(path: Path) -> Iterator[FoundRecord]:
    """Reads a list of objects, an object that holds one, or objects one after the other, a piece at a time."""
    with _opened(path) as raw, io.TextIOWrapper(raw, encoding="utf-8-sig") as file:
        walk = _JsonWalk(file)
        walk.enter()
        while (found := walk.next()) is not None:
            yield found


class _JsonWalk:
    """A walk over the values in a JSON text that is read a block at a time."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._text = ""
        self._line = 1
        self._ended = False

    def enter(self) -> None:
        """Goes to the first value: behind `[`, or behind the `[` of an object's one long list, as `{"data": [`."""
        self._fill()
        opening = re.match(r'\s*(?:\{\s*"(?:data|rows|examples|train)"\s*:\s*)?\[', self._text)
        if opening is not None:
            self._drop(opening.end())

    def next(self) -> FoundRecord | None:
        """Returns the next value; None at the end."""
        while True:
            self._drop(len(self._text) - len(self._text.lstrip(" \t\r\n,")))
            if self._text or not self._fill():
                break
        if not self._text or self._text[0] in "]}":
            return None
        return self._value()

    def _value(self) -> FoundRecord:
        line = self._line
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text)
                # A number may go on in what is not read yet.
                if end < len(self._text) or not self._fill():
                    self._drop(end)
                    return FoundRecord(line=line, record=value)
            except ValueError as error:
                if len(self._text) > MOST_LINE or not self._fill():
                    raise DataError(f"line {line}: it is no JSON: {error}.") from error

    def _fill(self) -> bool:
        # As much again as there is, so that a long value is not read anew for each block.
        more = self._file.read(max(_BLOCK, len(self._text)))
        self._text += more
        return bool(more)

    def _drop(self, count: int) -> None:
        self._line += self._text.count("\n", 0, count)
        self._text = self._text[count:]


def _csv(path: Path) -> Iterator[FoundRecord]:
    csv.field_size_limit(MOST_LINE)
    with _opened(path) as raw, io.TextIOWrapper(raw, encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, delimiter="\t" if ".tsv" in path.name.lower() else ",")
        header = next(reader, None)
        if header is None:
            return
        begins = reader.line_num + 1
        for values in reader:
            if values:
                yield _csv_row(header, values, begins)
            begins = reader.line_num + 1


def _csv_row(header: list[str], values: list[str], line: int) -> FoundRecord:
    if len(values) != len(header):
        fault = f"it has {len(values)} fields, and the first line names {len(header)}."
        return FoundRecord(line=line, record=values, fault=fault)
    return FoundRecord(
        line=line, record={name: value for name, value in zip(header, values, strict=True) if value != ""}
    )


def _parquet(path: Path) -> Iterator[FoundRecord]:
    import pyarrow.parquet

    with pyarrow.parquet.ParquetFile(path, pre_buffer=False) as file:
        number = 0
        for batch in file.iter_batches(batch_size=_BATCH, use_threads=False):
            for record in batch.to_pylist():
                number += 1
                yield FoundRecord(line=number, record=_without_none(record))


def _arrow(path: Path) -> Iterator[FoundRecord]:
    import pyarrow

    number = 0
    with pyarrow.memory_map(str(path)) as mapped:
        for batch in _arrow_batches(mapped):
            for start in range(0, batch.num_rows, _BATCH):
                for record in batch.slice(start, _BATCH).to_pylist():
                    number += 1
                    yield FoundRecord(line=number, record=_without_none(record))


def _arrow_batches(mapped: Any) -> Iterator[Any]:
    """Yields the batches of an Arrow file: `save_to_disk` writes the stream format, others the one with a footer."""
    import pyarrow

    magic = mapped.read(6)
    mapped.seek(0)
    if magic == b"ARROW1":
        reader = pyarrow.ipc.open_file(mapped)
        yield from (reader.get_batch(index) for index in range(reader.num_record_batches))
    else:
        yield from pyarrow.ipc.open_stream(mapped)


def _without_none(value: Any) -> Any:
    """Leaves out what is None: in a column of objects Arrow gives every object the keys of all."""
    if isinstance(value, dict):
        return {name: _without_none(inner) for name, inner in value.items() if inner is not None}
    return [_without_none(inner) for inner in value] if isinstance(value, list) else value


READERS: Final[Mapping[str, Callable[[Path], Iterator[FoundRecord]]]] = MappingProxyType(
    {
        ".jsonl": _json_lines,
        ".ndjson": _json_lines,
        ".jsonl.gz": _json_lines,
        ".json": _json,
        ".json.gz": _json,
        ".csv": _csv,
        ".csv.gz": _csv,
        ".tsv": _csv,
        ".parquet": _parquet,
        ".arrow": _arrow,
    }
)


def _opened(path: Path) -> IO[bytes]:
    if path.suffix == ".gz":
        return io.BufferedReader(gzip.GzipFile(path))
    return path.open("rb")


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    """The seam where errors of files and of pyarrow become ours."""
    from patchbay.core.distribution import translated_imports

    try:
        with translated_imports():
            yield
    except (UnicodeDecodeError, csv.Error, EOFError, gzip.BadGzipFile) as error:
        raise DataError(f"{path} cannot be read any further: {error}.") from error
    except DataError as error:
        raise DataError(f"{path}: {error.message}") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from error
    except ValueError as error:
        # What pyarrow raises for a damaged file is a ValueError of its own.
        if type(error).__module__.split(".")[0] != "pyarrow":
            raise
        raise DataError(f"{path} cannot be read: {str(error).splitlines()[0]}") from error
