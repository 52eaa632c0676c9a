"""Folds equal PEFT's own: the new base answers as PEFT does with the adapter on the old one, whatever was trained."""

import json
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
from patchbay.adapters.fold.trained import read_trained
from patchbay.core.errors import AdapterError, ArtifactError, ConfigError

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
