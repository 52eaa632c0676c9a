"""Spaces, ablation tables, profiles and pages, without any training."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from patchbay.core.errors import ConfigError
from patchbay.core.settings import parse_settings
from patchbay.tuning.training.ablation import ablation_plot, ablation_text, best_values, effects, write_ablation
from patchbay.tuning.training.display import RunProgress, curve, duration
from patchbay.tuning.training.hardware import GPUS
from patchbay.tuning.training.history import HistoryPoint
from patchbay.tuning.training.page import run_page
from patchbay.tuning.training.profiles import fitting_kind, profile, profile_text
from patchbay.tuning.training.recipe import TrainingRecipe, load_recipe
from patchbay.tuning.training.runs import RunRecord
from patchbay.tuning.training.space import SweepSpace, with_values
from patchbay.tuning.training.start import check_trackers
from patchbay.tuning.training.starter import starter_recipe
from patchbay.tuning.training.sweep import TrialResult

RECIPE = TrainingRecipe.model_validate({"name": "x", "base": "/b", "data": {"train": ["/a", "/c"], "share": 0.1}})


def trial(number: int, loss: float | None, **values: Any) -> TrialResult:
    named = {key.replace("_", "."): value for key, value in values.items()}
    state = "pruned" if loss is None else "complete"
    return TrialResult(
        number=number, state=state, values=named, loss=loss, general=1.0, seconds=3.0, folder=f"/runs/{number}"
    )


TRIALS = [
    trial(3, 0.25, adapter_rank=8, schedule_rate=0.001),
    trial(0, 0.5, adapter_rank=4, schedule_rate=0.002),
    trial(1, 0.75, adapter_rank=8, schedule_rate=0.003),
    trial(2, 1.0, adapter_rank=4, schedule_rate=0.0005),
    trial(4, None, adapter_rank=4, schedule_rate=0.9),
]


@pytest.mark.parametrize(
    ("space", "words"),
    [
        ({}, "at least one key"),
        ({"adapter.rnk": {"choose": [1]}}, "no key of a recipe"),
        ({"seed": {"choose": [1]}}, "no key of a recipe"),
        ({"adapter.rank": {}}, "either choose or low and high"),
        ({"adapter.rank": {"low": 3, "high": 3}}, "low must be below high"),
    ],
)
def test_a_space_that_cannot_be_searched_is_refused(space: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        parse_settings(SweepSpace, {"space": space}, source="space.yaml")


def test_a_grid_has_as_many_runs_as_points() -> None:
    space = {"adapter.rank": {"choose": [4, 8]}, "data.weights": {"choose": [[1, 0], [1, 1], [1, 2]]}}
    assert SweepSpace.model_validate({"space": space, "sampler": "grid"}).runs == 6
    assert SweepSpace.model_validate({"space": space, "sampler": "grid", "trials": 4}).runs == 4
    assert SweepSpace.model_validate({"space": space}).runs == 12


def test_values_of_a_trial_are_checked_like_a_recipe() -> None:
    made = with_values(RECIPE, {"adapter.rank": 32, "data.weights": [1, 0.5]})
    assert (made.adapter.rank, made.data.weights, made.seed) == (32, (1, 0.5), RECIPE.seed)
    with pytest.raises(ConfigError, match="The space gave"):
        with_values(RECIPE, {"adapter.rank": 0})


def test_the_table_has_the_best_first_and_what_each_value_did() -> None:
    assert effects(TRIALS) == {"adapter.rank": {"4": (0.75, 2), "8": (0.5, 2)}}
    text = ablation_text(TRIALS, "x")
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert rows[0] == "| trial | adapter.rank | schedule.rate | validation loss | general loss | seconds | state |"
    assert rows[2] == "| 3 | 8 | 0.001 | 0.25 | 1 | 3 | complete |"
    assert rows[-1] == "| 4 | 4 | 0.9 | - | 1 | 3 | pruned |"
    assert "- adapter.rank: 4: 0.7500 (2), 8: 0.5000 (2)" in text


def test_the_best_recipe_is_one_to_run(tmp_path: Path) -> None:
    best = write_ablation(tmp_path, TRIALS, RECIPE)
    assert best is not None
    recipe = load_recipe(best)
    assert (recipe.adapter.rank, recipe.rate) == (8, 0.001)
    assert best_values(TRIALS) == {"adapter.rank": 8, "schedule.rate": 0.001}
    assert write_ablation(tmp_path / ".", [TRIALS[-1]], RECIPE) is None
    ablation_plot([trial(0, 1.0, data_weights=[1, 0]), trial(1, 2.0, data_weights=[1, 1])], tmp_path / "lists.svg")
    assert (tmp_path / "lists.svg").stat().st_size > 1000


def test_a_run_is_spread_whole_where_it_fits_and_else_in_pieces() -> None:
    gpu = GPUS["h100-80"]
    assert (fitting_kind(20e9, gpu), fitting_kind(75e9, gpu)) == ("ddp", "fsdp")
    spread = profile("fsdp", [gpu] * 4, machines=2)
    assert (spread["distributed_type"], spread["num_processes"], spread["num_machines"]) == ("FSDP", 8, 2)
    assert profile("deepspeed", [gpu] * 2)["deepspeed_config"]["zero_stage"] == 3
    assert yaml.safe_load(profile_text("ddp", [gpu] * 2))["distributed_type"] == "MULTI_GPU"
    with pytest.raises(ConfigError, match="nothing is to be spread"):
        profile("ddp", [gpu])


@pytest.mark.parametrize("kind", ["ddp", "fsdp", "deepspeed"])
def test_accelerate_reads_the_profile(kind: Any, tmp_path: Path) -> None:
    from accelerate.commands.config.config_args import load_config_from_file

    path = tmp_path / "accelerate.yaml"
    path.write_text(profile_text(kind, [GPUS["h100-80"]] * 8))
    read = load_config_from_file(str(path))
    assert read.num_processes == 8
    assert read.distributed_type == {"ddp": "MULTI_GPU", "fsdp": "FSDP", "deepspeed": "DEEPSPEED"}[kind]


RECORD = RunRecord(
    name="<tickets>",
    state="done",
    identity="0",
    recipe={"method": "sft"},
    recipe_digest="1",
    data={},
    data_digest="2",
    seed=7,
    threads=1,
    command="patchbay tune run x.yaml",
    began="2026-01-01T00:00:00+00:00",
    findings=("The model forgets.",),
    used={"seconds": 90.0, "memory_bytes": 1.0},
)


def test_a_page_shows_curves_findings_and_nothing_that_is_fetched() -> None:
    points = [HistoryPoint(step=step, loss=1 / step, validation=0.5 + step) for step in range(1, 9)]
    page = run_page(RECORD, points, "patchbay adapters push <folder>")
    assert "<svg" in page
    assert "&lt;tickets&gt;" in page
    assert "<tickets>" not in page
    assert "The model forgets." in page
    assert "<td>8</td><td>8.5000</td>" in page
    assert "1 min 30 s" in page
    assert "src=" not in page
    assert "http" not in page.replace("http://www.w3.org", "").replace("https://matplotlib.org", "").replace(
        "http://purl.org", ""
    ).replace("http://creativecommons.org", "")
    empty = run_page(RECORD.model_copy(update={"state": "running", "used": {}}), [], "x")
    assert "Nothing was held out" in empty


def test_the_time_left_is_what_the_steps_until_now_say() -> None:
    progress = RunProgress(rows_of_a_step=4)
    progress.take({"event": "rows", "train": 10, "tokens": 1000}, 0)
    progress.take({"event": "began", "step": 4, "steps": 10, "processes": 2}, 10.0)
    assert progress.left(11.0) is None
    progress.take({"event": "step", "step": 6, "loss": 1.0}, 14.0)
    assert progress.left(14.0) == pytest.approx(8.0)
    assert progress.tokens_a_second(14.0) == pytest.approx(100 * 4 * 2 * 2 / 4)
    progress.take({"event": "step", "step": 7, "loss": None}, 15.0)
    assert progress.losses == [1.0]


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.4, "0 s"), (59.6, "1 min 00 s"), (3599, "59 min 59 s"), (3661, "1 h 01 min")]
)
def test_times_are_written_in_the_unit_that_suits(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_a_curve_falls_as_its_values_do() -> None:
    assert curve([]) == ""
    assert curve([8.0, 4.0, 1.0], width=3) == "█▄▁"
    assert curve([1.0] * 100, width=10) == "▁" * 10


@pytest.mark.parametrize("method", ["sft", "dpo", "orpo", "kto"])
def test_the_recipe_that_init_writes_is_one(method: Any, tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(starter_recipe("a", method=method, base="./base", train="./t.jsonl", file="recipe.yaml"))
    assert load_recipe(path).method == method


def test_a_tracker_that_is_not_installed_is_named() -> None:
    check_trackers(())
    with pytest.raises(ConfigError, match="pip install mlflow"):
        check_trackers(("mlflow",))
