"""The process that trains: how its end is told, and that nothing of it is reported to anybody."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from patchbay.command import build_app
from patchbay.core.errors import ConfigError, Conflict
from patchbay.core.exit_codes import fail
from patchbay.tuning.training.process import WorkerEnded, launcher, run_worker
from patchbay.tuning.training.recipe import load_recipe
from patchbay.tuning.training.runs import find_record, locked, read_record
from patchbay.tuning.training.start import open_run, wanted_record
from patchbay.tuning.training.telemetry import training_environment
from tests.fakes.training_runs import begun, write_recipe


def ended_by(tmp_path: Path, script: str) -> WorkerEnded:
    folder, recipe, _ = begun(write_recipe(tmp_path))
    with pytest.raises(WorkerEnded) as ended:
        run_worker(folder, recipe, lambda event: None, ("/bin/sh", "-c", script))
    return ended.value


def test_a_process_that_is_killed_is_told_with_what_takes_less_memory(tmp_path: Path) -> None:
    told = str(ended_by(tmp_path, "kill -9 $$"))
    assert "memory runs out" in told
    assert "goes on from its last checkpoint" in told
    assert "compute.gradient_checkpointing: true" in told


def test_a_process_that_dies_without_a_word_is_told_with_its_log(tmp_path: Path) -> None:
    assert "worker.log" in str(ended_by(tmp_path, "exit 7"))
    assert read_record(tmp_path / "runs" / "tiny").state == "failed"
    assert "signal 11" in str(ended_by(tmp_path / "b", "kill -11 $$"))


def test_events_are_taken_and_other_lines_are_left(tmp_path: Path) -> None:
    folder, recipe, _ = begun(write_recipe(tmp_path))
    taken: list[Any] = []
    script = "echo hello; echo '{\"event\": \"step\", \"step\": 1}'; echo '[1]'; echo '{'"
    assert run_worker(folder, recipe, taken.append, ("/bin/sh", "-c", script)) == 0
    assert taken == [{"event": "step", "step": 1}]


def test_every_librarys_telemetry_is_off_and_nothing_is_fetched(tmp_path: Path) -> None:
    folder, recipe, _ = begun(write_recipe(tmp_path))
    taken: list[Any] = []
    names = "HF_HUB_DISABLE_TELEMETRY HF_HUB_OFFLINE DO_NOT_TRACK WANDB_MODE MLFLOW_DISABLE_TELEMETRY"
    told = ", ".join(f'\\"{name}\\": \\"${name}\\"' for name in names.split())
    script = f'echo "{{\\"event\\": \\"seen\\", {told}}}"'
    run_worker(folder, recipe, taken.append, ("/bin/sh", "-c", script))
    assert list(taken[0].values()) == ["seen", "1", "1", "1", "disabled", "true"]
    assert training_environment(("wandb",), {}).get("WANDB_MODE") is None


def test_a_profile_starts_accelerate() -> None:
    assert launcher(None) == []
    assert launcher(Path("p.yaml"))[:3] == [sys.executable, "-m", "accelerate.commands.launch"]


def test_two_processes_cannot_train_one_run(tmp_path: Path) -> None:
    with locked(tmp_path), pytest.raises(Conflict, match="Another process trains"), locked(tmp_path):
        pass


def test_a_changed_recipe_is_another_run_and_fresh_keeps_the_old_one(tmp_path: Path) -> None:
    folder, _, _ = begun(write_recipe(tmp_path))
    with pytest.raises(Conflict, match=r"differs in: its recipe\."):
        begun(write_recipe(tmp_path, seed=8))
    with pytest.raises(Conflict, match=r"differs in: its data\."):
        begun(write_recipe(tmp_path, rows=13))
    recipe = load_recipe(tmp_path / "recipe.yaml")
    _, record = open_run(folder, wanted_record(recipe, "x"), fresh=True)
    assert record.identity != read_record(folder.with_name("tiny.old-1")).identity


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["run", "recipe.yaml"], 2, "no base model"),
        (["check", "recipe.yaml"], 2, "no base model"),
        (["estimate", "recipe.yaml"], 2, "--like"),
        (["show", "runs/none"], 4, "no run"),
        (["init", "recipe.yaml"], 5, "exists already"),
        (["init", "other.yaml", "--method", "full"], 2, "no method"),
        (["launch-profile", "recipe.yaml", "--kind", "pipeline"], 2, "Take one of"),
    ],
)
def test_a_command_that_cannot_be_done_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int, words: str
) -> None:
    write_recipe(tmp_path, base=str(tmp_path / "nothing"))
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(build_app(), ["tune", *arguments])
    error: Any = done.exception
    assert words in str(error)
    assert fail(error) == code


def test_a_run_that_is_too_large_is_asked_for_and_off_a_terminal_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_recipe(tmp_path, schedule={"steps": 1_000_000})
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(build_app(), ["tune", "run", "recipe.yaml"])
    assert isinstance(done.exception, ConfigError)
    assert "--yes" in str(done.exception)
    record = find_record(tmp_path / "runs" / "tiny")
    assert record is not None
    assert record.estimate["seconds"] > 3600


def test_lists_and_runs_are_json_for_machines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun(write_recipe(tmp_path))
    monkeypatch.chdir(tmp_path)
    for arguments in (
        ["list"],
        ["show", "runs/tiny"],
        ["check", "recipe.yaml"],
        ["estimate", "recipe.yaml"],
        ["methods"],
    ):
        done = CliRunner().invoke(build_app(), ["tune", *arguments, "--json"], catch_exceptions=False)
        assert done.exit_code == 0
        json.loads(done.stdout)


def test_a_data_set_of_the_registry_is_trained_on_by_its_name_and_digest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_recipe(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATCHBAY_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def told(*arguments: str) -> Any:
        done = CliRunner().invoke(build_app(), [*arguments, "--json"], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    told("data", "import", "train.jsonl", "--name", "tickets")
    document = yaml.safe_load((tmp_path / "recipe.yaml").read_text())
    document["data"] = {"train": "tickets@1", "share": 0.3}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(document))
    checked = told("tune", "check", "recipe.yaml")
    assert checked["data"] == told("data", "show", "tickets@1")["digest"]
    assert checked["rows"]["train"] + checked["rows"]["validation"] == 12
