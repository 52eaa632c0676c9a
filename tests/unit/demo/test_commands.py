"""`patchbay demo`: exit codes, what goes where, and a quick start."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from patchbay.tuning.demo.commands import app
from patchbay.tuning.demo.manifest import DemoManifest

from .endpoint import said, serving
from .test_score import as_taught

QUICK = """
import sys, patchbay.tuning.demo.commands
print(*[name for name in ("torch", "transformers", "tokenizers", "httpx") if name in sys.modules])
"""


@pytest.fixture
def runner() -> CliRunner:
    return CliRunner(env={"COLUMNS": "200", "PATCHBAY_API_KEY": "", "NO_COLOR": "1", "TERM": "dumb"})


@pytest.mark.parametrize("command", ["build", "score"])
def test_help_shows_an_example(runner: CliRunner, command: str) -> None:
    assert f"Example: patchbay demo {command}" in runner.invoke(app, [command, "--help"]).stdout


def test_build_prints_where_the_models_are_as_json_and_nothing_else(runner: CliRunner, tmp_path: Path) -> None:
    result = runner.invoke(app, ["build", "--data-dir", str(tmp_path), "--json"])
    assert result.exit_code == 0
    folders = json.loads(result.stdout)
    assert Path(folders["base"], "config.json").is_file()
    assert "label-bad" in folders["adapters"]


def test_build_for_people_names_every_adapter(runner: CliRunner, tmp_path: Path) -> None:
    result = runner.invoke(app, ["build", "--data-dir", str(tmp_path)])
    assert result.exit_code == 0
    assert all(
        name in result.stdout for name in ("base (int4)", "json", "label", "sql", "style", "label-bad", "safety")
    )


def test_build_uses_the_data_directory_of_the_environment(runner: CliRunner, tmp_path: Path) -> None:
    result = runner.invoke(app, ["build", "--json"], env={"PATCHBAY_DATA_DIR": str(tmp_path)})
    assert Path(json.loads(result.stdout)["base"]).is_relative_to(tmp_path)


def test_score_ends_with_zero_only_if_all_targets_are_met(runner: CliRunner) -> None:
    with serving(as_taught) as seen:
        result = runner.invoke(app, ["score", "--url", seen.url, "--examples", "24", "--json"])
    assert result.exit_code == 0
    assert all(row["passed"] for row in json.loads(result.stdout))


def test_score_ends_with_one_if_a_target_is_missed_and_shows_the_table(runner: CliRunner) -> None:
    with serving(lambda _: said("no")) as seen:
        result = runner.invoke(app, ["score", "--url", seen.url, "--examples", "2"])
    assert result.exit_code == 1
    assert "exact match" in result.stdout
    assert "label-bad" in result.stdout


def test_recorded_scores_stand_in_the_manifest_and_leave_the_files_alone(runner: CliRunner, tmp_path: Path) -> None:
    runner.invoke(app, ["build", "--data-dir", str(tmp_path), "--json"])
    folder = next(one for one in tmp_path.iterdir() if one.is_dir())
    before = DemoManifest.read(folder)
    with serving(lambda _: said("no")) as seen:
        runner.invoke(app, ["score", "--url", seen.url, "--examples", "1", "--record", str(folder)])
    after = DemoManifest.read(folder)
    assert after.digest == before.digest
    assert {row["exact_match"] for row in after.origin["scores"]} == {0.0}


def test_score_sends_the_key_of_the_environment(runner: CliRunner) -> None:
    with serving(lambda _: said("no")) as seen:
        runner.invoke(app, ["score", "--url", seen.url, "--examples", "1"], env={"PATCHBAY_API_KEY": "k1"})
    assert seen.keys == {"Bearer k1"}


def test_a_server_that_is_down_ends_with_one_line_and_no_traceback(runner: CliRunner) -> None:
    with serving(as_taught) as seen:
        url = seen.url
    result = runner.invoke(app, ["score", "--url", url, "--examples", "1", "--json"])
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "patchbay up" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("wrong", [["--examples", "0"], ["--example", "5"], ["--examples", "many"]])
def test_wrong_usage_ends_with_two(runner: CliRunner, wrong: list[str]) -> None:
    assert runner.invoke(app, ["score", *wrong]).exit_code == 2


def test_the_commands_load_nothing_heavy() -> None:
    ended = subprocess.run([sys.executable, "-c", QUICK], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == ""
