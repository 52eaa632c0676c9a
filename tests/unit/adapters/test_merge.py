"""Merges equal PEFT's own, tensor by tensor, on a base model that PEFT needs and we do not."""

import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from peft.tuners.lora.layer import LoraLayer
from safetensors.torch import load_file
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from patchbay.adapters.checks.base import BaseLayout
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


def tiny_gpt2() -> GPT2LMHeadModel:
    torch.manual_seed(0)
    return GPT2LMHeadModel(GPT2Config(n_embd=16, n_layer=2, n_head=2, vocab_size=32, n_positions=16))


def trained(folder: Path, seed: int, *, base: Any = None, **config: Any) -> Path:
    torch.manual_seed(seed)
    chosen: dict[str, Any] = {"r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "v_proj"]} | config
    model = get_peft_model(base or tiny_base(), LoraConfig(init_lora_weights=False, **chosen))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.save_pretrained(str(folder), save_embedding_layers=False)
    return folder


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("pair")
    return trained(folder / "a", 1), trained(folder / "b", 2, lora_alpha=4)


def tensors_of(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "adapter_model.safetensors")


def named_whole(folder: Path) -> dict[str, Any]:
    """The adapter's configuration with each of its modules by its whole name, and no other way to say which."""
    modules = {name.removeprefix("base_model.model.").partition(".lora_")[0] for name in tensors_of(folder)}
    config: dict[str, Any] = json.loads((folder / "adapter_config.json").read_text())
    others = dict.fromkeys(("layers_to_transform", "layers_pattern", "exclude_modules"))
    return config | others | {"target_modules": sorted(modules)}


def by_peft(folders: Sequence[Path], mixture: Mixture, out: Path, base: Any = None) -> Path:
    """What PEFT makes of the adapters, each of whose modules it is told: its own merge forgets those that the first
    adapter's configuration excludes."""
    names = [f"a{number}" for number in range(len(folders))]
    model: Any = base or tiny_base()
    for name, folder in zip(names, folders, strict=True):
        config = LoraConfig.from_peft_type(**named_whole(folder))
        if name == "a0":
            model = PeftModel.from_pretrained(model, str(folder), adapter_name=name, config=config)
        else:
            model.load_adapter(str(folder), adapter_name=name, peft_config=config)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.add_weighted_adapter(
            names, list(mixture.weights), "m", combination_type=mixture.method, density=mixture.density
        )
        model.save_pretrained(str(out), selected_adapters=["m"], save_embedding_layers=False)
    return out / "m"


def assert_same(ours: Path, peft: Path) -> None:
    """Asserts that all tensors are the same, but for zeros by which PEFT gives every module the same rank."""
    found, expected = tensors_of(ours), tensors_of(peft)
    assert found.keys() == expected.keys()
    for name, tensor in found.items():
        rows, columns = tensor.shape
        assert torch.equal(tensor, expected[name][:rows, :columns]), name
        padding = expected[name][rows:, :] if "_A" in name else expected[name][:, columns:]
        assert not padding.any(), name


KINDS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "alike": ({}, {"lora_alpha": 4}),
    "layers_to_transform": ({"layers_to_transform": [1], "layers_pattern": "layers"}, {}),
    "layers_to_transform of the second": ({}, {"layers_to_transform": 0}),
    "exclude_modules": ({"exclude_modules": ["v_proj"]}, {"target_modules": ["q_proj", "v_proj", "o_proj"]}),
    "exclude_modules by a pattern": ({"exclude_modules": r".*layers\.0.*"}, {}),
    "a pattern and a list": ({"target_modules": r".*\.[qk]_proj"}, {}),
    "embeddings": ({"target_modules": ["embed_tokens", "q_proj"]}, {"target_modules": ["embed_tokens", "lm_head"]}),
    "an embedding of one alone": ({"target_modules": ["embed_tokens"]}, {}),
    "rsLoRA": ({"use_rslora": True}, {"alpha_pattern": {"v_proj": 3}}),
    "ranks by pattern": ({"rank_pattern": {"q_proj": 2}}, {"rank_pattern": {"q_proj": 2}, "use_rslora": True}),
    "nothing in common": ({"target_modules": ["q_proj"]}, {"target_modules": ["down_proj"]}),
}  # fmt: skip


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_merge_is_what_peft_makes_of_it_tensor_by_tensor(tmp_path: Path, kind: str, method: Method) -> None:
    folders = [trained(tmp_path / f"{number}", number + 1, **config) for number, config in enumerate(KINDS[kind])]
    # What DARE draws depends on the order of the modules, which the files do not tell: here it draws nothing.
    mixture = Mixture(WEIGHTS, method, density=1.0 if method.startswith("dare") else 0.6)
    merge(folders, mixture, tmp_path / "ours")
    assert_same(tmp_path / "ours", by_peft(folders, mixture, tmp_path / "peft"))


@pytest.mark.parametrize("method", ["dare_linear", "dare_ties"])
def test_what_dare_draws_is_what_peft_draws(tmp_path: Path, method: Method) -> None:
    one_module = {"target_modules": ["model.layers.0.self_attn.q_proj"]}
    folders = [trained(tmp_path / name, seed, **one_module) for name, seed in (("a", 1), ("b", 2))]
    mixture = Mixture(WEIGHTS, method, density=0.5, seed=7)
    merge(folders, mixture, tmp_path / "ours")
    model = PeftModel.from_pretrained(tiny_base(), str(folders[0]), adapter_name="a")
    model.load_adapter(str(folders[1]), adapter_name="b")
    layer = next(module for module in model.modules() if isinstance(module, LoraLayer))
    torch.manual_seed(7)
    a, b = model.base_model._generalized_task_arithmetic_weighted_adapter(  # noqa: SLF001 - what PEFT's merge calls
        method, ["a", "b"], list(WEIGHTS), layer, 0.5, "total"
    )
    prefix = "base_model.model.model.layers.0.self_attn.q_proj.lora_"
    ours = tensors_of(tmp_path / "ours")
    assert torch.equal(ours[f"{prefix}A.weight"], a)
    assert torch.equal(ours[f"{prefix}B.weight"], b)


def test_weights_that_the_base_stores_the_other_way_round_are_merged_too(tmp_path: Path) -> None:
    config = {"target_modules": ["c_attn", "c_proj"], "fan_in_fan_out": True}
    folders = [trained(tmp_path / name, seed, base=tiny_gpt2(), **config) for name, seed in (("a", 1), ("b", 2))]
    for method in ("cat", "ties"):
        mixture = Mixture(WEIGHTS, method, density=0.6)
        merge(folders, mixture, tmp_path / method)
        assert_same(tmp_path / method, by_peft(folders, mixture, tmp_path / f"peft-{method}", tiny_gpt2()))
    other = trained(tmp_path / "other", 3)
    with pytest.raises(AdapterError, match="fan_in_fan_out is not as a has it"):
        merge([folders[0], other], Mixture(WEIGHTS), tmp_path / "out")


@pytest.mark.parametrize("kind", KINDS)
def test_peft_loads_of_a_merge_just_the_tensors_that_an_engine_serves(tmp_path: Path, kind: str) -> None:
    folders = [trained(tmp_path / f"{number}", number + 1, **config) for number, config in enumerate(KINDS[kind])]
    merge(folders, Mixture((0.5, 0.5), "cat"), tmp_path / "m")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = PeftModel.from_pretrained(tiny_base(), str(tmp_path / "m"))
    loaded = {name.replace(".default", ""): value for name, value in model.named_parameters() if "lora_" in name}
    written = tensors_of(tmp_path / "m")
    assert loaded.keys() == written.keys()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in written.items())


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", ["alike", "embeddings"])
def test_a_merge_passes_the_gate_and_the_same_seed_gives_the_same_bytes(
    tmp_path: Path, kind: str, method: Method
) -> None:
    folders = [trained(tmp_path / f"{number}", number + 1, **config) for number, config in enumerate(KINDS[kind])]
    tiny_base().save_pretrained(tmp_path / "base")
    found = []
    for out, seed in (("one", 3), ("two", 3), ("three", 4)):
        merge(folders, Mixture((0.5, 0.5), method, 0.5, seed), tmp_path / out)
        summary = check_folder(tmp_path / out, max_rank=16, base=BaseLayout.of_folder(tmp_path / "base"))
        assert summary.rank == (8 if method == "cat" else 4)
        found.append(tensors_of(tmp_path / out))
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])
    chance = any(not torch.equal(found[0][name], found[2][name]) for name in found[0])
    assert chance == method.startswith("dare")


def test_what_cannot_be_merged_is_said_to_be(pair: tuple[Path, Path], tmp_path: Path) -> None:
    bigger = trained(tmp_path / "bigger", 3, r=8)
    by_parameters = trained(tmp_path / "parameters", 3)
    config = json.loads((by_parameters / "adapter_config.json").read_text()) | {"target_parameters": ["experts"]}
    (by_parameters / "adapter_config.json").write_text(json.dumps(config))
    for folders, mixture, message in (
        ((pair[0],), Mixture((1.0,)), "at least two"),
        (pair, Mixture((1.0,)), "one weight for each"),
        (pair, Mixture((1.0, float("nan"))), "finite"),
        (pair, Mixture((1.0, 1.0), "ties", density=0), "density"),
        ((pair[0], bigger), Mixture((1.0, 1.0)), "Use --method cat"),
        ((pair[0], by_parameters), Mixture((1.0, 1.0)), "target_parameters cannot be merged"),
    ):
        with pytest.raises(AdapterError, match=message):
            merge(folders, mixture, tmp_path / "out")
        assert not (tmp_path / "out").exists()
    merge((pair[0], bigger), Mixture((1.0, 0.0), "cat"), tmp_path / "out")
    assert max(weight_distances(pair[0], tmp_path / "out").values()) < 1e-6
