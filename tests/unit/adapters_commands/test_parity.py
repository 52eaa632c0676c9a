"""A parity file goes with its adapter: checked at a push, part of the digest, shown, verified and kept."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from patchbay.adapters.commands.app import app
from patchbay.adapters.contents import PARITY_FILE
from tests.fakes.adapter_folder import write_adapter
from tests.fakes.parity_files import ROWS, write_parity_file

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATCHBAY_DATA_DIR", str(tmp_path / "data"))
    for name in ("PATCHBAY_REGISTRY", "PATCHBAY_ARTIFACTS"):
        monkeypatch.delenv(name, raising=False)

    def invoke(*arguments: object, code: int = 0) -> Result:
        result = CliRunner().invoke(app, [str(argument) for argument in arguments])
        assert result.exit_code == code, result.output
        return result

    return invoke


def test_the_file_is_left_out_or_not_shown(run: Run, tmp_path: Path) -> None:
    source = write_adapter(tmp_path / "source")
    plain = json.loads(run("push", source, "--name", "sql", "--json").stdout)
    write_parity_file(source)
    proven = json.loads(run("push", source, "--name", "sql", "--json").stdout)
    assert (plain["revision"]["number"], proven["revision"]["number"]) == (1, 2)
    assert PARITY_FILE in {file["name"] for file in proven["revision"]["draft"]["files"]}
    assert json.loads(run("show", "sql@2", "--json").stdout)["parity"] == f"{ROWS} rows"
    assert f"{ROWS} rows" in run("show", "sql@2").output
    assert json.loads(run("show", "sql@1", "--json").stdout)["parity"] is None
    assert "is whole: 3 files" in run("verify", "sql@2").output


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{}", "the version is None"),
        ('{"version": 1, "version": 1}', "given twice"),
        ("[" * 100_000, "nests too deep"),
        ('{"version": 1, "rows": [' + "1" * 5000 + "]}", "digits"),
        ('"' + "a" * 9_000_000 + '"', "larger than"),
    ],
)
def test_a_file_that_is_none_is_pushed_or_refused_without_its_name(
    run: Run, tmp_path: Path, text: str, words: str
) -> None:
    source = write_adapter(tmp_path / "source")
    (source / PARITY_FILE).write_text(text)
    refused = run("push", source, "--name", "sql", code=3)
    assert words in refused.stderr
    assert PARITY_FILE in refused.stderr
