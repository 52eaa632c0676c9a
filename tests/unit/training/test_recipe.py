"""Recipes are read with every fault named, and their digest holds what changes the result."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from patchbay.core.errors import ConfigError
from patchbay.tuning.training.recipe import load_recipe, recipe_digest

LEAST: dict[str, Any] = {"name": "tickets", "base": "./base", "data": {"train": "train.jsonl"}}


def written(folder: Path, **changes: Any) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(LEAST | changes))
    return path


def test_the_least_recipe_has_its_files_beside_it(tmp_path: Path) -> None:
    recipe = load_recipe(written(tmp_path))
    assert recipe.base == tmp_path / "base"
    assert recipe.data.train == (str(tmp_path / "train.jsonl"),)
    assert recipe.output == tmp_path / "runs" / "tickets"
    assert (recipe.rate, recipe.adapter.scale_alpha) == (2e-4, 32)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"method": "full"}, "adapter of a higher rank"),
        ({"method": "ppo"}, "'dpo' for pairs or 'kto' for votes"),
        ({"adapter": {"kind": "prefix_tuning"}}, "Use 'lora'"),
        ({"adapter": {"kind": "full"}}, "no adapter"),
        ({"shedule": {}}, "schedule"),
        ({"schedule": {"packing": True}, "method": "dpo"}, "packing goes with sft"),
        ({"watch": {"patience": 2}}, "needs data.validation"),
        ({"watch": {"every": 5}, "checkpoints": {"every": 2}}, "must divide"),
        ({"data": {"train": []}}, "at least one file"),
        ({"data": {"train": "a", "validation": "b", "share": 0.1}}, "either validation or share"),
        ({"name": "../x"}, "name"),
        ({"adapter": {"layers": [0]}}, "name the modules"),
        ({"method": "kto", "schedule": {"order": "by_length"}}, "goes with sft"),
        ({"data": {"train": ["a", "b"], "weights": [1]}}, "one number for each"),
    ],
)
def test_a_recipe_that_cannot_be_is_refused_with_what_to_do(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        load_recipe(written(tmp_path, **changes))
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({}, True),
        ({"name": "other"}, True),
        ({"track": "mlflow"}, True),
        ({"compute": {"loader": 2}}, True),
        ({"seed": 8}, False),
        ({"adapter": {"rank": 8}}, False),
        ({"compute": {"precision": "float32"}}, False),
        ({"schedule": {"rate": 1e-3}}, False),
    ],
)
def test_the_digest_is_of_what_changes_the_result(tmp_path: Path, changes: dict[str, Any], same: bool) -> None:
    plain = recipe_digest(load_recipe(written(tmp_path)))
    assert (recipe_digest(load_recipe(written(tmp_path, **changes))) == plain) == same
