"""Runs really train, over the demo's tiny base: each method once, and what they leave is pushed as it is."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from patchbay.adapters.checks.base import BaseLayout
from patchbay.adapters.publish import PushRequest
from patchbay.tuning.training.checkpoints import sealed
from patchbay.tuning.training.history import losses, read_history
from patchbay.tuning.training.runs import read_record
from patchbay.tuning.training.telemetry import training_environment
from patchbay.tuning.training.train import Diverged, train
from tests.fakes.installation import Installation
from tests.fakes.training_runs import BASE, begun, write_recipe

DOCUMENTS = ("README.md", "patchbay-adapter.yaml")


class Events:
    """What a run told."""

    def __init__(self) -> None:
        self.all: list[dict[str, Any]] = []

    def __call__(self, event: str, **fields: Any) -> None:
        self.all.append({"event": event, **fields})

    def named(self, name: str) -> list[dict[str, Any]]:
        return [event for event in self.all if event["event"] == name]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of six steps that nobody disturbed: its folder."""
    folder, _, _ = begun(write_recipe(tmp_path_factory.mktemp("whole"), adapter={"dropout": 0.1}))
    train(folder, Events())
    return folder


def measured(folder: Path) -> list[dict[str, float | int]]:
    return [
        {key: value for key, value in point.as_json().items() if key != "seconds"} for point in read_history(folder)
    ]


def test_a_run_learns_and_keeps_its_best_checkpoint(whole: Path) -> None:
    record, points = read_record(whole), read_history(whole)
    assert record.state == "done"
    assert record.steps == 6
    assert [step for step, _ in losses(points, "validation")] == [0, 2, 4, 6]
    assert [step for step, _ in losses(points, "general")] == [0, 2, 4, 6]
    validated = losses(points, "validation")
    assert record.metrics["best_step"] == min(validated, key=lambda pair: pair[1])[0]
    # The weights are rounded to bfloat16 before they are measured.
    assert record.metrics["validation_loss"] == pytest.approx(min(value for _, value in validated), rel=0.02)
    assert record.metrics["validation_loss"] < validated[0][1]


def test_what_a_run_leaves_is_pushed_as_it_is_and_says_what_it_was_made_of(whole: Path, tmp_path: Path) -> None:
    layout, record = BaseLayout.of_folder(BASE), read_record(whole)
    with Installation.at(tmp_path) as installation:
        pushed = installation.publisher.push(PushRequest("tiny", str(whole)), actor="ml", base=layout)
    stated = pushed.revision.draft.provenance
    assert stated.data_hash == record.data_digest
    assert stated.evaluations["validation_loss"] == pytest.approx(record.metrics["validation_loss"], abs=1e-4)
    names = {file.name for file in pushed.revision.draft.files}
    assert names == {*DOCUMENTS, "adapter_config.json", "adapter_model.safetensors", "patchbay-parity.json"}


def test_rows_of_parity_are_exact_and_tell_the_noise_of_rounding(tmp_path: Path) -> None:
    folder, _, _ = begun(write_recipe(tmp_path, compute={"precision": "bf16", "threads": 1}))
    train(folder, Events())
    assert json.loads((folder / "patchbay-parity.json").read_text())["noise"] > 0.001


def test_a_killed_run_goes_on_to_the_same_bytes(whole: Path, tmp_path: Path) -> None:
    folder, recipe, _ = begun(write_recipe(tmp_path, adapter={"dropout": 0.1}))
    killed = subprocess.Popen(
        [sys.executable, "-m", "patchbay.tuning.training.worker", str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=training_environment(recipe.track),
    )
    for line in killed.stdout or ():
        event = json.loads(line)
        if event["event"] == "step" and event["step"] == 5:
            killed.kill()
            break
    killed.wait()
    assert read_record(folder).state == "running"
    # What a crash leaves of a checkpoint that was being written.
    half = folder / "checkpoints" / "checkpoint-5"
    half.mkdir()
    (half / "trainer_state.json").write_text("{")
    events = Events()
    train(folder, events)
    assert events.named("began")[0]["step"] == 4
    assert read_record(folder).resumed == 1
    assert not half.exists()
    assert measured(folder) == measured(whole)
    for name in ("adapter_model.safetensors", "adapter_config.json"):
        assert (folder / name).read_bytes() == (whole / name).read_bytes()


def test_a_run_that_ended_before_its_folder_was_written_is_not_trained_again(whole: Path, tmp_path: Path) -> None:
    folder, _, _ = begun(write_recipe(tmp_path, schedule={"steps": 2}))
    train(folder, Events())
    written = (folder / "adapter_model.safetensors").read_bytes()
    (folder / "adapter_model.safetensors").unlink()
    document = json.loads((folder / "run.json").read_text()) | {"state": "finishing"}
    (folder / "run.json").write_text(json.dumps(document))
    events = Events()
    train(folder, events)
    assert not events.named("began")
    assert (folder / "adapter_model.safetensors").read_bytes() == written


@pytest.mark.parametrize("method", ["dpo", "orpo", "kto"])
def test_each_method_of_preferences_trains(method: str, tmp_path: Path) -> None:
    folder, _, _ = begun(write_recipe(tmp_path, method=method, rows=8, schedule={"steps": 4}))
    train(folder, Events())
    points = read_history(folder)
    trained = [value for _, value in losses(points, "loss")]
    assert trained[-1] < trained[0]
    assert read_record(folder).metrics["validation_loss"] < losses(points, "validation")[0][1]
    weights = load_file(folder / "adapter_model.safetensors")
    assert all(tensor.abs().sum() > 0 for name, tensor in weights.items() if "lora_B" in name)


@pytest.mark.parametrize("kind", ["rslora", "dora", "qlora"])
def test_each_kind_of_adapter_trains(kind: str, tmp_path: Path) -> None:
    folder, _, _ = begun(write_recipe(tmp_path, adapter={"kind": kind}, schedule={"steps": 2}, watch={"every": 2}))
    train(folder, Events())
    config = json.loads((folder / "adapter_config.json").read_text())
    assert (config["use_rslora"], config["use_dora"]) == (kind == "rslora", kind == "dora")
    weights = load_file(folder / "adapter_model.safetensors")
    assert any("magnitude" in name for name in weights) == (kind == "dora")


def test_a_run_that_diverges_ends_with_words_and_leaves_no_adapter(tmp_path: Path) -> None:
    path = write_recipe(tmp_path, adapter={"alpha": 1e25}, schedule={"warmup": 0})
    folder, _, _ = begun(path)
    with pytest.raises(Diverged, match=r"schedule\.rate"):
        train(folder, Events())
    assert read_record(folder).state == "diverged"
    assert not (folder / "adapter_config.json").exists()


def test_packed_chats_do_not_see_each_other(tmp_path: Path) -> None:
    """Packed or not, the mean loss over all rows in one step is the same."""
    firsts = []
    for name, packing in (("packed", True), ("plain", False)):
        schedule = {"steps": 1, "batch": 1 if packing else 8, "packing": packing}
        folder, _, _ = begun(write_recipe(tmp_path / name, rows=8, schedule=schedule, watch={"every": 1}))
        train(folder, Events())
        firsts.append(losses(read_history(folder), "loss")[0][1])
        assert sealed(folder / "checkpoints")
    assert firsts[0] == pytest.approx(firsts[1], rel=1e-4)
