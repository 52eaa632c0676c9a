"""The texts that `patchbay guards test` is given: files, folders, data sets with an object a line, and standard input.

Files are read piece by piece, so one may be larger than memory; of a data set one line is in memory at a time.
"""

import codecs
import io
import json
import os
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from patchbay.core.errors import ConfigError

PIECE: Final = 1 << 16
# A longer line of a data set is read as plain text.
MOST_LINE: Final = 1 << 24
_SNIFFED: Final = 1 << 13
# The share of bytes that are no UTF-8 from which a file without zero bytes is no text either.
_MOST_BROKEN: Final = 0.2
_DATA_SETS: Final = (".jsonl", ".ndjson")
_ROLES: Final = frozenset(["system", "developer", "user", "assistant", "tool", "function"])
# Half of a character, which JSON can write and nobody can print.
_HALF: Final = re.compile("[\ud800-\udfff]")
# Shorter numbers are nobody's.
_LEAST_NUMBER: Final = 100_000
# Keys whose text is itself a JSON document.
_JSON_KEYS: Final = ("arguments",)
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenText:
    """A text to look at, in pieces.

    `place`: its place in a line of a data set, such as `messages[0].content`, empty where it is a file's own text;
    `line`: the line of the file that it begins in, from 1 on; `role`: whose turn it is; `in_json`: whether it is a JSON
    document inside a string; `broken`: the line is no object of JSON, so it is read as it stands; `lead`: the keys that
    it stands under, which may name what is in it.
    """

    pieces: Iterator[str]
    place: str = ""
    line: int = 1
    role: str = "user"
    in_json: bool = False
    broken: bool = False
    lead: str = ""


@dataclass(frozen=True, slots=True)
class GivenFile:
    """A file to look at, or standard input where `path` is None, or a text of the command itself, which is `text`.

    `name`: the name that is shown; `size`: in bytes, None where nobody can know.
    """

    name: str
    path: Path | None = None
    text: str | None = None

    @property
    def size(self) -> int | None:
        """The size in bytes, None where it has none that is known."""
        try:
            return None if self.path is None else self.path.stat().st_size
        except OSError:
            return None

    def open(self) -> io.BufferedReader:
        """Opens it. Raises OSError."""
        if self.path is not None:
            return self.path.open("rb")
        if self.text is not None:
            return io.BufferedReader(io.BytesIO(self.text.encode("utf-8", "replace")))
        # A test puts bytes in memory in its place.
        standard: Any = sys.stdin.buffer
        return standard if isinstance(standard, io.BufferedReader) else io.BufferedReader(standard)


def given_files(paths: Sequence[str], text: str | None) -> Iterator[GivenFile]:
    """Yields what a command names: the files of folders in the order of their names, links aside.

    `paths`: files, folders, or `-` for standard input; `text`: a text itself. Raises ConfigError where a path is not
    there. Folders that cannot be read are yielded as files, which cannot be read either.
    """
    if text is not None:
        yield GivenFile("text", text=text)
    for path in paths:
        if path == "-":
            yield GivenFile("standard input")
        elif Path(path).is_dir():
            yield from _in_folder(Path(path))
        elif Path(path).exists():
            yield GivenFile(_printable(path), Path(path))
        else:
            raise ConfigError(f"There is no file or folder '{path}'. For a text itself, write --text '{path}'.")


def _in_folder(folder: Path) -> Iterator[GivenFile]:
    shut = list[OSError]()
    for place, folders, names in os.walk(folder, onerror=shut.append):
        # What git keeps there is no text of anybody's.
        folders[:] = sorted(name for name in folders if name != ".git")
        for path in (Path(place, name) for name in sorted(names)):
            if path.is_file() and not path.is_symlink():
                yield GivenFile(_printable(str(path)), path)
    yield from (GivenFile(_printable(str(error.filename)), Path(error.filename)) for error in shut)


def is_data_set(given: GivenFile) -> bool:
    """Says by its name whether a file has an object of JSON a line."""
    return given.path is not None and given.path.suffix.lower() in _DATA_SETS


def encoding_of(file: io.BufferedReader) -> str | None:
    """Returns the encoding of an opened file by its beginning, None where that is no text. Raises OSError."""
    start = file.peek(_SNIFFED)[:_SNIFFED]
    for mark, encoding in _MARKS:
        if start.startswith(mark):
            return encoding
    if b"\0" in start:
        return None
    # The last character may be cut off.
    broken = start[:-3].decode("utf-8", "replace").count("\ufffd") - start.count("\ufffd".encode())
    return "utf-8" if broken <= _MOST_BROKEN * len(start) else None


def texts_in(file: io.BufferedReader, encoding: str, fields: Sequence[str] | None) -> Iterator[GivenText]:
    """Yields the texts of an opened file. Bytes that are in no character become U+FFFD.

    `fields`: None for one text; for a data set the fields that are read, as `messages.content`, all if there are none.
    """
    if fields is None:
        yield GivenText(pieces=_pieces(file, encoding))
        return
    # Other characters that break lines may stand inside a string of JSON.
    lines = io.TextIOWrapper(file, encoding, errors="replace", newline="\n")
    number = 0
    while line := lines.readline(MOST_LINE):
        number += 1
        if len(line) >= MOST_LINE and not line.endswith("\n"):
            yield GivenText(pieces=_rest_of_line(line, lines), line=number, broken=True)
        elif line.strip():
            yield from texts_of_line(line, number, fields)


def texts_of_line(line: str, number: int, fields: Sequence[str]) -> Iterator[GivenText]:
    """Yields the texts of one line of a data set, which is its line `number`."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        yield GivenText(pieces=iter([line]), line=number, broken=True)
        return
    for place, text, role in _strings(value, "", "user"):
        if not fields or any(_is_below(place, field) for field in fields):
            in_json = place.rpartition(".")[2] in _JSON_KEYS
            pieces = iter([_printable(text)])
            lead = f'"{place}": '
            yield GivenText(pieces=pieces, place=_printable(place), line=number, role=role, in_json=in_json, lead=lead)


def _pieces(file: io.BufferedReader, encoding: str) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    while data := file.read1(PIECE):
        yield decoder.decode(data)
    yield decoder.decode(b"", final=True)


def _rest_of_line(line: str, lines: io.TextIOWrapper) -> Iterator[str]:
    yield line
    while line and not line.endswith("\n"):
        line = lines.readline(MOST_LINE)
        yield line


def _strings(value: Any, place: str, role: str) -> Iterator[tuple[str, str, str]]:
    """Yields the strings and long numbers in `value`, each with its place and the role of its turn."""
    if isinstance(value, dict):
        own = value.get("role")
        has_role = isinstance(own, str) and own in _ROLES
        role = str(own) if has_role else role
        for key, item in value.items():
            if key != "role" or not has_role:
                yield from _strings(item, f"{place}.{key}" if place else key, role)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _strings(item, f"{place}[{number}]", role)
    elif isinstance(value, str) or (isinstance(value, int) and abs(value) >= _LEAST_NUMBER):
        yield place, str(value), role


def _printable(text: str) -> str:
    """Returns a text of the same length without halves of characters."""
    return _HALF.sub("\ufffd", text)


def _is_below(place: str, field: str) -> bool:
    """Whether `place`, such as `messages[0].content`, is `field`, such as `messages.content` or `messages`, or in
    it."""
    names = [name.partition("[")[0] for name in place.split(".")]
    wanted = field.split(".")
    return names[: len(wanted)] == wanted
