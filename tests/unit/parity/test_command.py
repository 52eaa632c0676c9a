"""`patchbay tune parity`, run as people do, over the demo's base."""

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from patchbay.adapters.parity.reading import read_parity
from patchbay.command import build_app
from patchbay.core.errors import AdapterError, ConfigError
from patchbay.tuning.commands.parity import read_rows
from patchbay.tuning.parity.loading import write_parity_of
from tests.fakes.peft_replica import ADAPTERS, BASE, Workshop, demo_rows


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    return Path(shutil.copytree(ADAPTERS / "sql", tmp_path / "adapter"))


def test_an_adapter_from_elsewhere_does_not_get_rows_that_a_replica_reproduces(adapter: Path) -> None:
    result = CliRunner().invoke(
        build_app(), ["tune", "parity", str(adapter), "--base", str(BASE), "--limit", "3", "--json"]
    )
    assert result.exit_code == 0, result.output
    shown = json.loads(result.stdout)
    file = read_parity(adapter, vocabulary=1536)
    assert file is not None
    assert (shown["rows"], shown["modules"]) == (len(file.rows), len(file.modules)) == (3, 28)
    assert shown["effect_nats"] > 0.01
    assert (Workshop().prove(adapter) or "").startswith("parity: 3 rows")
    assert [path.name for path in adapter.iterdir() if path.name.startswith(".")] == []


def test_rows_of_a_file_are_not_the_ones_that_are_written(adapter: Path, tmp_path: Path) -> None:
    rows = demo_rows("sql", 4)
    file = tmp_path / "rows.jsonl"
    file.write_text("\n".join(json.dumps(row) for row in rows) + "\n\n")
    result = CliRunner().invoke(
        build_app(), ["tune", "parity", str(adapter), "--base", str(BASE), "--rows", str(file), "--limit", "2"]
    )
    assert result.exit_code == 0, result.output
    assert "replicas compare" in result.output
    written = read_parity(adapter)
    assert written is not None
    assert [list(map(dict, row.messages)) for row in written.rows] == [row["messages"][:-1] for row in rows[:2]]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{\n", "line 1"),
        ('{"messages": []}\n{"prompt": 1}\n', "line 2: it has no list of messages"),
        ('{"messages": [1]}\n', "line 1: it has no list of messages"),
    ],
)
def test_a_line_that_is_no_row_is_not_told(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(text)
    with pytest.raises(ConfigError, match=words):
        read_rows(file)


def test_rows_that_cannot_be_scored_write_an_empty_file(adapter: Path) -> None:
    rows = [{"messages": [{"role": "user", "content": [{"type": "image"}]}, {"role": "assistant", "content": "a cat"}]}]
    with pytest.raises(AdapterError, match="no row can be scored"):
        write_parity_of(adapter, base=BASE, rows=rows)
    assert read_parity(adapter) is None
