"""Folds equal PEFT's own: the new base answers as PEFT does with the adapter on the old one, whatever was trained."""

import importlib.util
import json
import re
import shutil
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForCausalLM,
    Gemma2Config,
    Gemma2ForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    Phi3Config,
    Phi3ForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from patchbay.adapters.checks.base import BaseLayout
from patchbay.adapters.checks.folder import DEFAULT_LIMITS
from patchbay.adapters.fold.admission import Admitted
from patchbay.adapters.fold.fold import Folded, fold
from patchbay.adapters.fold.plan import HEADLESS
from patchbay.adapters.fold.trained import read_trained
from patchbay.core.errors import AdapterError, ArtifactError, ConfigError
from patchbay.tuning.bases.quantize import load_dequantized
from patchbay.tuning.demo.build import ARTIFACTS
from patchbay.tuning.demo.recipe import Shape

ROWS = 48
SIZES: dict[str, Any] = {
    "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2,
    "num_key_value_heads": 2, "vocab_size": ROWS, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
GPT2_SIZES: dict[str, Any] = {"n_embd": 16, "n_layer": 2, "n_head": 2, "vocab_size": ROWS, "n_positions": 32}
Make = Callable[[], Any]
BASES: dict[str, Make] = {
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**SIZES, tie_word_embeddings=False)),
    "llama with biases": lambda: LlamaForCausalLM(LlamaConfig(**SIZES, attention_bias=True)),
    "tied qwen": lambda: Qwen2ForCausalLM(Qwen2Config(**SIZES, tie_word_embeddings=True)),
    "tied gemma": lambda: Gemma2ForCausalLM(Gemma2Config(**SIZES, head_dim=8, tie_word_embeddings=True)),
    "fused phi": lambda: Phi3ForCausalLM(Phi3Config(**SIZES)),
    "gpt2": lambda: GPT2LMHeadModel(GPT2Config(**GPT2_SIZES, tie_word_embeddings=True)),
}


@dataclass(frozen=True)
class Made:
    """A base in a folder, and the adapter that PEFT saved for it."""

    base: Path
    adapter: Path

    def fold(self, out: Path, **more: Any) -> Folded:
        return fold(Admitted(str(self.adapter), "d" * 64, None, ()), self.base, out, **more)


def made(folder: Path, base: str, *, saved: dict[str, Any] | None = None, **config: Any) -> Made:
    """An adapter of random weights, as large as training makes them."""
    torch.manual_seed(0)
    model = BASES[base]()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, 0, 0.2)
    model.save_pretrained(folder / "base", **(saved or {}))
    torch.manual_seed(1)
    chosen: dict[str, Any] = {"r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "v_proj"]} | config
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        peft = get_peft_model(AutoModelForCausalLM.from_pretrained(folder / "base"), LoraConfig(**chosen))
        for parameter in peft.parameters():
            if parameter.requires_grad:
                parameter.data += torch.randn_like(parameter) * 0.1
        peft.save_pretrained(str(folder / "adapter"))
    return Made(folder / "base", folder / "adapter")


def logits_of(model: Any) -> torch.Tensor:
    torch.manual_seed(2)
    ids = torch.randint(3, ROWS, (2, 12))
    with torch.no_grad():
        logits: torch.Tensor = model.eval()(input_ids=ids).logits
    return logits.float()


def by_peft(one: Made) -> torch.Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        base = AutoModelForCausalLM.from_pretrained(one.base)
        return logits_of(PeftModel.from_pretrained(base, str(one.adapter)))


def assert_answers_as_peft(one: Made, out: Path, *, within: float = 2e-4) -> None:
    expected, found = by_peft(one), logits_of(AutoModelForCausalLM.from_pretrained(out))
    plain = logits_of(AutoModelForCausalLM.from_pretrained(one.base))
    assert (expected - plain).abs().max() > 50 * within, "the adapter hardly changes the base: nothing is compared"
    assert (expected - found).abs().max() < within


ALL = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "a plain LoRA": ("llama", {}),
    "rsLoRA with ranks by pattern": ("llama", {"use_rslora": True, "rank_pattern": {"q_proj": 2}}),
    "DoRA": ("llama", {"use_dora": True, "target_modules": ALL}),
    "DoRA of embeddings": ("llama", {"use_dora": True, "target_modules": ["q_proj", "embed_tokens", "lm_head"]}),
    "DoRA with a fused layer": ("fused phi", {"use_dora": True, "target_modules": ["qkv_proj", "gate_up_proj"]}),
    "DoRA of [in, out]": ("gpt2", {"use_dora": True, "target_modules": ["c_attn", "c_proj"], "fan_in_fan_out": True}),
    "modules to save": ("llama", {"modules_to_save": ["embed_tokens", "lm_head"]}),
    "norms to save": ("llama", {"modules_to_save": ["input_layernorm", "norm"]}),
    "a whole block to save": ("llama", {"modules_to_save": ["mlp"]}),
    "all biases": ("llama with biases", {"bias": "all"}),
    "the LoRA's biases": ("llama with biases", {"bias": "lora_only"}),
    "DoRA with biases": ("llama with biases", {"bias": "lora_only", "use_dora": True}),
    "a bias of B": ("llama with biases", {"lora_bias": True}),
    "embeddings": ("llama", {"target_modules": ["q_proj", "embed_tokens", "lm_head"]}),
    "rows of tokens": ("llama", {"trainable_token_indices": [4, 9, 11]}),
    "tied: the head": ("tied qwen", {"target_modules": ["q_proj", "lm_head"]}),
    "tied: the embedding": ("tied qwen", {"target_modules": ["q_proj", "embed_tokens"]}),
    "tied: both": ("tied qwen", {"target_modules": ["q_proj", "embed_tokens", "lm_head"], "use_dora": True}),
    "tied: the head saved whole": ("tied qwen", {"modules_to_save": ["lm_head"]}),
    "tied: the embedding saved whole": ("tied qwen", {"modules_to_save": ["embed_tokens"]}),
    "tied, and to stay so": ("tied qwen", {"modules_to_save": ["embed_tokens"], "ensure_weight_tying": True}),
    "tied: a LoRA that stays so": ("tied qwen", {"target_modules": ["embed_tokens"], "ensure_weight_tying": True}),
    "tied: rows of tokens": ("tied qwen", {"trainable_token_indices": [4, 9, 11]}),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_the_new_base_answers_otherwise_than_peft_with_the_adapter(tmp_path: Path, kind: str) -> None:
    base, config = KINDS[kind]
    one = made(tmp_path, base, **config)
    folded = one.fold(tmp_path / "new")
    assert_answers_as_peft(one, tmp_path / "new")
    again = BaseLayout.of_folder(tmp_path / "new")
    before = BaseLayout.of_folder(tmp_path / "base")
    assert again is not None
    assert before is not None
    assert folded.fingerprint == again.fingerprint != before.fingerprint


def test_a_base_in_several_files_is_not_written_in_as_many_or_loses_a_parameter(tmp_path: Path) -> None:
    one = made(tmp_path, "llama", saved={"max_shard_size": "8KB"}, use_dora=True)
    files = {path.name for path in one.base.glob("*.safetensors")}
    assert len(files) > 2
    folded = one.fold(tmp_path / "new")
    assert {path.name for path in folded.folder.glob("*.safetensors")} == files
    assert folded.changed == 4
    assert_answers_as_peft(one, folded.folder)


def test_parameters_that_training_left_alone_are_not_the_bases_bit_by_bit(tmp_path: Path) -> None:
    one = made(tmp_path, "llama", use_dora=True)
    before, after = (
        load_file(folder / "model.safetensors") for folder in (one.base, one.fold(tmp_path / "new").folder)
    )
    assert before.keys() == after.keys()
    changed = {name for name, tensor in before.items() if not torch.equal(tensor, after[name])}
    assert changed == {f"model.layers.{layer}.self_attn.{side}_proj.weight" for layer in (0, 1) for side in "qv"}


def test_a_bfloat16_base_is_not_folded_in_float32_and_rounded_once(tmp_path: Path) -> None:
    one = made(tmp_path, "llama", use_dora=True, target_modules=ALL)
    exact = load_file(one.fold(tmp_path / "exact").folder / "model.safetensors")
    rounded = {name: tensor.bfloat16() for name, tensor in load_file(one.base / "model.safetensors").items()}
    save_file(rounded, one.base / "model.safetensors", metadata={"format": "pt"})
    found = load_file(one.fold(tmp_path / "new").folder / "model.safetensors")
    assert {tensor.dtype for tensor in found.values()} == {torch.bfloat16}
    worst = max((exact[name] - tensor.float()).abs().max().item() for name, tensor in found.items())
    assert 0 < worst < 0.02


def test_the_vocabulary_that_was_grown_and_its_tokenizer_do_not_go_into_the_new_base(tmp_path: Path) -> None:
    one = made(tmp_path, "llama", modules_to_save=["embed_tokens", "lm_head"])
    path = one.adapter / "adapter_model.safetensors"
    tensors = load_file(path)
    for name in [name for name in tensors if name.endswith(("embed_tokens.weight", "lm_head.weight"))]:
        tensors[name] = torch.cat([tensors[name], torch.ones(3, 16)])
    save_file(tensors, path)
    for folder in (one.base, one.adapter):
        (folder / "tokenizer.json").write_text(json.dumps({"model": {"vocab": {folder.name: 0}}}))
    (one.base / "merges.txt").write_text("the base's")
    folded = one.fold(tmp_path / "new")
    assert folded.vocabulary == ROWS + 3
    model = AutoModelForCausalLM.from_pretrained(folded.folder)
    assert model.config.vocab_size == ROWS + 3
    assert torch.equal(model.lm_head.weight[-1], torch.ones(16))
    assert "adapter" in (folded.folder / "tokenizer.json").read_text()
    assert not (folded.folder / "merges.txt").exists()


def test_what_lies_beside_the_weights_is_left_out_or_what_is_not_read_is_copied(tmp_path: Path) -> None:
    one = made(tmp_path, "llama", use_dora=True)
    (one.base / "tokenizer.json").write_text('{"model": {"vocab": {"a": 0}}}')
    (one.base / "pytorch_model.bin").write_bytes(b"x")
    (one.adapter / "chat_template.jinja").write_text("{{ messages }}")
    folded = one.fold(tmp_path / "new")
    found = {path.name for path in folded.folder.iterdir()}
    assert {"tokenizer.json", "generation_config.json", "chat_template.jinja", "config.json"} <= found
    assert "pytorch_model.bin" not in found
    assert json.loads((folded.folder / "patchbay-fold.json").read_text())["adapter"] == "d" * 64


def edited(one: Made, change: Callable[[dict[str, torch.Tensor], dict[str, Any]], None]) -> None:
    weights, file = one.adapter / "adapter_model.safetensors", one.adapter / "adapter_config.json"
    tensors, config = load_file(weights), json.loads(file.read_text())
    change(tensors, config)
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, weights)
    file.write_text(json.dumps(config))


def first(tensors: dict[str, torch.Tensor], part: str) -> str:
    return next(name for name in sorted(tensors) if part in name)


def lose_magnitude(tensors: dict[str, torch.Tensor], _: dict[str, Any]) -> None:
    del tensors[first(tensors, "magnitude")]


def forget_dora(_: dict[str, torch.Tensor], config: dict[str, Any]) -> None:
    config["use_dora"] = False


def diverge(tensors: dict[str, torch.Tensor], _: dict[str, Any]) -> None:
    tensors[first(tensors, "magnitude")][1] = float("inf")


def widen(tensors: dict[str, torch.Tensor], _: dict[str, Any]) -> None:
    name = first(tensors, "lora_A")
    tensors[name] = torch.cat([tensors[name], tensors[name]], dim=1)


def rename(tensors: dict[str, torch.Tensor], _: dict[str, Any]) -> None:
    for name in list(tensors):
        tensors[name.replace("layers.1", "layers.7")] = tensors.pop(name)


def add_unknown(tensors: dict[str, torch.Tensor], _: dict[str, Any]) -> None:
    tensors["base_model.model.score.weight"] = torch.ones(2, 16)


def resize_one(tensors: dict[str, torch.Tensor], _: dict[str, Any]) -> None:
    tensors["base_model.model.lm_head.weight"] = torch.ones(ROWS + 1, 16)


def other_method(_: dict[str, torch.Tensor], config: dict[str, Any]) -> None:
    config["peft_type"] = "LOHA"


def pissa(_: dict[str, torch.Tensor], config: dict[str, Any]) -> None:
    config["init_lora_weights"] = "pissa"


def activated(_: dict[str, torch.Tensor], config: dict[str, Any]) -> None:
    config["alora_invocation_tokens"] = [1]


FAULTS: dict[str, tuple[Callable[[dict[str, torch.Tensor], dict[str, Any]], None], str]] = {
    "a magnitude is missing": (lose_magnitude, "has no lora_magnitude_vector for model.layers.0.self_attn.q_proj"),
    "magnitudes without DoRA": (forget_dora, "has a lora_magnitude_vector for .*, which is no DoRA"),
    "infinity": (diverge, "would hold numbers that are not finite. The training diverged"),
    "another size": (widen, r"takes 16 and gives 16\. Check that the adapter was trained for this base"),
    "another model's modules": (rename, r"layers\.7\..*, which the base model in .* has not"),
    "a head that the base has not": (add_unknown, r"score\.weight, which the base model in"),
    "a vocabulary of two sizes": (resize_one, "49 rows in lm_head.weight and 48 rows in model.embed_tokens.weight"),
    "another method": (other_method, r"expected 'LORA'\. Merge it by PEFT.*merge_and_unload"),
    "PiSSA": (pissa, "path_initial_model_for_weight_conversion"),
    "an activated LoRA": (activated, "which no weights can hold: train a plain LoRA"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_cannot_be_folded_is_folded_or_refused_without_a_way(tmp_path: Path, fault: str) -> None:
    change, says = FAULTS[fault]
    one = made(tmp_path, "llama", use_dora=True)
    edited(one, change)
    with pytest.raises(AdapterError, match=says):
        one.fold(tmp_path / "new")
    assert {path.name for path in tmp_path.iterdir()} == {"base", "adapter"}


def test_an_adapter_that_changes_nothing_becomes_a_base(tmp_path: Path) -> None:
    one = made(tmp_path, "llama")
    edited(one, lambda tensors, _: tensors.update({name: t * 0 for name, t in tensors.items() if "lora_B" in name}))
    with pytest.raises(AdapterError, match="changes nothing of the base model"):
        one.fold(tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_full_disk_is_noticed_only_when_it_is_full(tmp_path: Path) -> None:
    one = made(tmp_path, "llama")
    with pytest.raises(ArtifactError, match=r"0\.00 GiB free\. Free space there"):
        one.fold(tmp_path / "new", free=lambda folder: 1000)
    assert not (tmp_path / "new").exists()


def test_a_fold_writes_over_what_is_there(tmp_path: Path) -> None:
    one = made(tmp_path, "llama")
    (tmp_path / "new").mkdir()
    one.fold(tmp_path / "new")
    before = (tmp_path / "new" / "model.safetensors").read_bytes()
    with pytest.raises(ConfigError, match="exists already"):
        one.fold(tmp_path / "new")
    assert (tmp_path / "new" / "model.safetensors").read_bytes() == before


def test_a_fold_that_breaks_off_leaves_half_a_base(tmp_path: Path) -> None:
    one = made(tmp_path, "llama")

    def stop(step: str) -> None:
        if "folding 3 of" in step:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        one.fold(tmp_path / "new", tell=stop)
    assert {path.name for path in tmp_path.iterdir()} == {"base", "adapter"}


def test_a_head_of_its_own_is_given_to_a_model_whose_head_vllm_passes_over(tmp_path: Path) -> None:
    config: dict[str, Any] = {"target_modules": ["q_proj", "embed_tokens"]}
    one = made(tmp_path, "tied gemma", **config)
    with pytest.raises(AdapterError, match=r"no Gemma2ForCausalLM in which they differ.*ensure_weight_tying"):
        one.fold(tmp_path / "new")
    kept = made(tmp_path / "kept", "tied gemma", **config, ensure_weight_tying=True)
    assert not kept.fold(tmp_path / "new").untied
    assert_answers_as_peft(kept, tmp_path / "new")


def test_the_models_whose_heads_are_passed_over_are_others_in_the_vllm_that_is_installed() -> None:
    found = importlib.util.find_spec("vllm")
    if found is None or found.origin is None:
        pytest.skip("vLLM is not installed")
    models = Path(found.origin).parent / "model_executor" / "models"
    named = re.findall(r'"(\w+ForCausalLM)": \(\s*"(\w+)"', (models / "registry.py").read_text())
    from_embedding = "logits_processor(self.model.embed_tokens"
    files = {name: models / f"{module}.py" for name, module in named}
    headless = {name for name, file in files.items() if file.is_file() and from_embedding in file.read_text()}
    assert headless == HEADLESS


@pytest.mark.parametrize("method", ["gptq", "bitsandbytes"])
def test_a_quantized_base_that_cannot_take_it_is_refused_without_naming_the_way(tmp_path: Path, method: str) -> None:
    one = made(tmp_path, "llama")
    file = one.base / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"quantization_config": {"quant_method": method}}))
    with pytest.raises(ConfigError, match=rf"quantized \({method}\).*--onto FOLDER"):
        one.fold(tmp_path / "new")


def test_an_int4_base_is_unpacked_otherwise_than_the_engine_computes_with_it(tmp_path: Path) -> None:
    """The demo's own base, which no unquantized one exists of."""
    base = ARTIFACTS / "base"
    config = LlamaConfig.from_pretrained(base)
    del config.quantization_config

    def dequantized() -> LlamaForCausalLM:
        model = LlamaForCausalLM(config)
        load_dequantized(base, model, Shape().group_size)
        return model.eval()

    torch.manual_seed(1)
    peft = get_peft_model(dequantized(), LoraConfig(r=4, use_dora=True, target_modules=["q_proj", "down_proj"]))
    for parameter in peft.parameters():
        if parameter.requires_grad:
            parameter.data += torch.randn_like(parameter) * 0.1
    peft.save_pretrained(str(tmp_path / "adapter"))
    folded = Made(base, tmp_path / "adapter").fold(tmp_path / "new")
    assert folded.unpacked
    assert not hasattr(AutoModelForCausalLM.from_pretrained(folded.folder).config, "quantization_config")
    expected = peft.merge_and_unload().state_dict()
    found = load_file(folded.folder / "model.safetensors")
    assert found.keys() == {name for name in expected if name in found}
    assert len(found) == folded.parameters == 39
    for name, tensor in found.items():
        assert torch.equal(tensor, expected[name].bfloat16()), name


def test_an_adapter_for_folding_is_read_where_its_patterns_take_for_ever(tmp_path: Path) -> None:
    one = made(tmp_path, "llama")
    edited(one, lambda _, config: config.update(rank_pattern={"(a+)+b": 4}))
    with pytest.raises(AdapterError, match="Write one entry for each module"):
        read_trained(one.adapter, DEFAULT_LIMITS)
    shutil.rmtree(one.adapter)
    with pytest.raises(AdapterError):
        read_trained(one.adapter, DEFAULT_LIMITS)
