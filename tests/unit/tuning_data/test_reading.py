"""Files in every format are read to the same records, piece by piece, and what cannot be read is told by its line."""

import csv
import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from patchbay.core.errors import ConfigError, DataError
from patchbay.tuning.data.reading import records, source_files, split_of
from tests.unit.tuning_data.conftest import write_lines

ROWS: list[dict[str, Any]] = [{"prompt": f"Ask {n} ü", "completion": f"Answer {n}"} for n in range(7)]


def read(path: Path) -> list[Any]:
    return [found.record for found in records(path)]


def test_json_lines_are_read_and_broken_ones_are_told_by_their_line(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.jsonl", [ROWS[0], "", "{broken", ROWS[1]])
    found = list(records(path))
    assert [one.line for one in found] == [1, 3, 4]
    assert [one.fault is None for one in found] == [True, False, True]
    assert found[1].record == "{broken"


def test_a_line_that_is_no_utf8_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"a": 1}\n{"a": "\xff"}\n')
    first, second = records(path)
    assert first.record == {"a": 1}
    assert second.fault == "it is no UTF-8 at byte 8."


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(ROWS),
        json.dumps(ROWS, indent=2),
        json.dumps({"data": ROWS}),
        "\n".join(json.dumps(row) for row in ROWS),
        json.dumps([{**row, "prompt": row["prompt"] + "x" * 70_000} for row in ROWS]),
    ],
)
def test_json_is_read_a_value_at_a_time(text: str, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(text)
    assert [row["completion"] for row in read(path)] == [row["completion"] for row in ROWS]


def test_json_that_is_cut_off_is_told_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('[\n{"a": 1},\n{"a": ')
    with pytest.raises(DataError, match="line 3"):
        read(path)


def test_csv_has_the_line_in_which_a_record_begins(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["prompt", "completion"], ["two\nlines", "x"], ["short"], ["a", ""]])
    found = list(records(path))
    assert [(one.line, one.fault is None) for one in found] == [(2, True), (4, False), (5, True)]
    assert found[0].record == {"prompt": "two\nlines", "completion": "x"}
    assert found[2].record == {"prompt": "a"}


def test_parquet_and_folders_of_the_hub_are_read(tmp_path: Path) -> None:
    import datasets
    import pyarrow
    import pyarrow.parquet

    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(ROWS), tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet") == ROWS
    both = datasets.DatasetDict(train=datasets.Dataset.from_list(ROWS[:5]), test=datasets.Dataset.from_list(ROWS[5:]))
    both.save_to_disk(str(tmp_path / "saved"))
    found = {file.split: read(file.path) for file in source_files(tmp_path / "saved")}
    assert found == {"train": ROWS[:5], "test": ROWS[5:]}


def test_a_damaged_parquet_file_is_told_in_our_words(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1 nothing")
    with pytest.raises(DataError, match=r"a\.parquet cannot be read"):
        read(tmp_path / "a.parquet")


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train-00000-of-00002.parquet", "train"),
        ("data/dev.jsonl", "validation"),
        ("test/data-00000-of-00001.arrow", "test"),
        ("tickets.jsonl", None),
        ("latest.jsonl", None),
    ],
)
def test_the_split_is_told_by_the_files_name(name: str, split: str | None) -> None:
    assert split_of(Path(name)) == split


def test_what_is_no_file_of_records_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x")
    for path in (tmp_path, tmp_path / "a.txt", tmp_path / "b.jsonl"):
        with pytest.raises(ConfigError):
            source_files(path)


PEAK = """
import resource, sys
from pathlib import Path
from patchbay.tuning.data.formats import RecordReading
from patchbay.tuning.data.importing import RejectFile, import_rows
from patchbay.tuning.data.store import Origin, RowWriter
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
writer = RowWriter(Path(sys.argv[2]))
rejects = RejectFile(Path(sys.argv[2]) / "rejects.jsonl")
report = import_rows([Path(sys.argv[1])], RecordReading(), writer, rejects, lambda n: None)
writer.finish("big", Origin())
print(report.rows, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.parametrize("ending", ["jsonl.gz", "json"])
def test_an_import_takes_little_memory_however_large_the_file_is(ending: str, tmp_path: Path) -> None:
    line = json.dumps({"prompt": "p" * 3000, "completion": "c" * 3000})
    rows = 12_000
    path = tmp_path / f"big.{ending}"
    if ending == "json":
        path.write_text("[" + ",\n".join([line] * rows) + "]")
    else:
        with gzip.open(path, "wt", compresslevel=1) as file:
            file.writelines(f"{line}\n" for _ in range(rows))
    (tmp_path / "out").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", PEAK, str(path), str(tmp_path / "out")], capture_output=True, text=True, check=True
    )
    found, grown_mib = map(int, done.stdout.split())
    assert found == rows
    # The rows are 72 MB.
    assert grown_mib < 30
