"""Training, quantizing and tuning: the same bytes for the same seed, on a tiny configuration."""

import json
from pathlib import Path

import pytest

pytest.importorskip("torch")

import torch

from patchbay.tuning.demo.build import build_trained
from patchbay.tuning.demo.manifest import DemoManifest
from patchbay.tuning.demo.recipe import AdapterRecipe, Recipe, Schedule, Shape
from patchbay.tuning.progress import Silent

from .recorder import Recorder

RUN = Schedule(steps=3, batch=4, rate=1e-3, warmup=2)
SHAPE = Shape(
    vocab_size=400, hidden=64, feed_forward=64, layers=1, heads=2, kv_heads=2, max_positions=256, group_size=32
)


def tiny(seed: int) -> Recipe:
    adapters = (
        AdapterRecipe("sql", "sql", RUN, 16, rank=2),
        AdapterRecipe("bad", "label", RUN, 16, noisy=True, rank=2),
    )
    return Recipe(seed=seed, threads=1, shape=SHAPE, base=RUN, base_examples=200, adapters=adapters)


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_trained(tmp_path_factory.mktemp("once"), tiny(5), Silent()).base.parent


def test_the_same_seed_gives_the_same_bytes_in_every_file(once: Path, tmp_path: Path) -> None:
    again = build_trained(tmp_path, tiny(5), Silent()).base.parent
    assert DemoManifest.read(again).files == DemoManifest.read(once).files
    assert again.name == once.name


def test_another_seed_gives_other_weights(once: Path, tmp_path: Path) -> None:
    other = build_trained(tmp_path, tiny(6), Silent()).base.parent
    mine, theirs = DemoManifest.read(once).files, DemoManifest.read(other).files
    assert other.name != once.name
    assert all(mine[name] != theirs[name] for name in mine if name.endswith(".safetensors"))


def test_what_is_trained_already_is_not_trained_again(once: Path) -> None:
    progress = Recorder()
    models = build_trained(once.parent, tiny(5), progress)
    assert models.base.parent == once
    assert progress.stages == []


def test_every_stage_reports_as_many_steps_as_it_announced(tmp_path: Path) -> None:
    progress = Recorder()
    build_trained(tmp_path, tiny(7), progress)
    assert progress.stages == [("base", 3), ("adapter sql", 3), ("adapter bad", 3)]
    assert progress.done == dict(progress.stages)


def test_adapters_change_every_linear_layer_and_name_the_base_not_a_path(once: Path) -> None:
    text = (once / "adapters" / "sql" / "adapter_config.json").read_text(encoding="utf-8")
    config = json.loads(text)
    assert config["base_model_name_or_path"] == "patchbay-demo"
    assert config["target_modules"] == sorted(config["target_modules"])
    assert str(once.parent) not in text
    safetensors = pytest.importorskip("safetensors.torch")
    weights = safetensors.load_file(once / "adapters" / "sql" / "adapter_model.safetensors")
    assert len(weights) == 7 * 2
    assert all(bool(torch.any(value != 0)) for value in weights.values())


def test_the_trained_base_loads_in_transformers_as_int4(once: Path) -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.AutoConfig.from_pretrained(str(once / "base"))
    assert config.quantization_config["quant_method"] == "compressed-tensors"
    assert (config.bos_token_id, config.eos_token_id, config.pad_token_id) == (1, 2, 0)


def test_the_manifest_says_where_the_models_come_from(once: Path) -> None:
    origin = DemoManifest.read(once).origin
    assert (origin["seed"], origin["command"]) == (5, "patchbay demo build --train --seed 5")
    assert len(origin["corpus_sha256"]) == 64
    assert origin["versions"]["torch"] == torch.__version__
