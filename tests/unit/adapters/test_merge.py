"""Merges equal PEFT's own, on a base model that PEFT needs and we do not."""

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file
from transformers import LlamaConfig, LlamaForCausalLM

from patchbay.adapters.checks.check import check_folder
from patchbay.adapters.compare import weight_distances
from patchbay.adapters.merge import METHODS, Method, Mixture, merge
from patchbay.core.errors import AdapterError

WEIGHTS = (0.7, -0.4)


def tiny_base() -> LlamaForCausalLM:
    torch.manual_seed(0)
    sizes: dict[str, Any] = {
        "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2,
        "num_key_value_heads": 2, "vocab_size": 32,
    }  # fmt: skip
    return LlamaForCausalLM(LlamaConfig(**sizes))


def trained(folder: Path, seed: int, *, rank: int = 4, alpha: int = 8) -> Path:
    torch.manual_seed(seed)
    config = LoraConfig(r=rank, lora_alpha=alpha, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    get_peft_model(tiny_base(), config).save_pretrained(str(folder))
    return folder


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("pair")
    return trained(folder / "a", 1), trained(folder / "b", 2, alpha=4)


def by_peft(pair: tuple[Path, Path], mixture: Mixture, out: Path) -> Path:
    model = PeftModel.from_pretrained(tiny_base(), str(pair[0]), adapter_name="a")
    model.load_adapter(str(pair[1]), adapter_name="b")
    torch.manual_seed(mixture.seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.add_weighted_adapter(
            ["a", "b"], list(mixture.weights), "m", combination_type=mixture.method, density=mixture.density
        )
    model.save_pretrained(str(out), selected_adapters=["m"])
    return out / "m"


@pytest.mark.parametrize("method", ["linear", "ties", "cat"])
def test_a_merge_is_what_peft_makes_of_it(pair: tuple[Path, Path], tmp_path: Path, method: Method) -> None:
    mixture = Mixture(WEIGHTS, method, density=0.6)
    merge(pair, mixture, tmp_path / "ours")
    distances = weight_distances(by_peft(pair, mixture, tmp_path / "peft"), tmp_path / "ours")
    assert len(distances) == 4
    assert max(distances.values()) < 1e-5


@pytest.mark.parametrize("method", METHODS)
def test_a_merge_passes_the_gate_and_the_same_seed_gives_the_same_bytes(
    pair: tuple[Path, Path], tmp_path: Path, method: Method
) -> None:
    found = []
    for out, seed in (("one", 3), ("two", 3), ("three", 4)):
        merge(pair, Mixture((0.5, 0.5), method, 0.5, seed), tmp_path / out)
        assert check_folder(tmp_path / out, max_rank=16).rank == (8 if method == "cat" else 4)
        found.append(load_file(tmp_path / out / "adapter_model.safetensors"))
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])
    chance = any(not torch.equal(found[0][name], found[2][name]) for name in found[0])
    assert chance == method.startswith("dare")


def test_what_cannot_be_merged_is_said_to_be(pair: tuple[Path, Path], tmp_path: Path) -> None:
    bigger = trained(tmp_path / "bigger", 3, rank=8)
    for folders, mixture, message in (
        ((pair[0],), Mixture((1.0,)), "at least two"),
        (pair, Mixture((1.0,)), "one weight for each"),
        (pair, Mixture((1.0, float("nan"))), "finite"),
        (pair, Mixture((1.0, 1.0), "ties", density=0), "density"),
        ((pair[0], bigger), Mixture((1.0, 1.0)), "Use --method cat"),
    ):
        with pytest.raises(AdapterError, match=message):
            merge(folders, mixture, tmp_path / "out")
        assert not (tmp_path / "out").exists()
    merge((pair[0], bigger), Mixture((1.0, 0.0), "cat"), tmp_path / "out")
    assert max(weight_distances(pair[0], tmp_path / "out").values()) < 1e-6
