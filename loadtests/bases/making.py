"""The making of small bases of random weights, and of adapters for them by PEFT."""

import json
import shutil
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from transformers import (
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    MistralConfig,
    MistralForCausalLM,
    Phi3Config,
    Phi3ForCausalLM,
    PreTrainedModel,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
    Qwen3MoeConfig,
    Qwen3MoeForCausalLM,
)

from patchbay.tuning.bases.quantize import int4_scheme, pack, quantization_config, unpack
from patchbay.tuning.demo.build import ARTIFACTS

ROWS = 1536
_GROUP = 32
# The first tokens of the demo's tokenizer are special ones, and single bytes, of which many are no text by themselves.
WORDLESS = 262
_SIZES: Mapping[str, Any] = {
    "vocab_size": ROWS, "hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 32, "max_position_embeddings": 512, "pad_token_id": 0, "bos_token_id": 1,
    "eos_token_id": 2,
}  # fmt: skip
_MOE: Mapping[str, Any] = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 64}
# Weights as wide as this give answers that have an opinion: no two tokens are nearly alike.
_WIDTH = 0.08
_TOKENIZER = ("tokenizer.json", "tokenizer_config.json")

KINDS: Mapping[str, Callable[[], PreTrainedModel]] = {
    "qwen2": lambda: Qwen2ForCausalLM(Qwen2Config(**_SIZES, tie_word_embeddings=True)),
    "qwen3": lambda: Qwen3ForCausalLM(Qwen3Config(**_SIZES, tie_word_embeddings=True)),
    "gemma3": lambda: Gemma3ForCausalLM(Gemma3TextConfig(**_SIZES, query_pre_attn_scalar=32)),
    "mistral": lambda: MistralForCausalLM(MistralConfig(**_SIZES)),
    "phi3": lambda: Phi3ForCausalLM(Phi3Config(**_SIZES)),
    "qwen3-moe": lambda: Qwen3MoeForCausalLM(Qwen3MoeConfig(**_SIZES, **_MOE)),
}
_ALL = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
_FUSED = ("qkv_proj", "o_proj", "gate_up_proj", "down_proj")


@dataclass(frozen=True, slots=True)
class AdapterRecipe:
    """The settings of one adapter, as PEFT's LoraConfig has them. `name`: for the table."""

    name: str
    config: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BaseKind:
    """A base to make. `int4`: whether its linear layers are packed."""

    name: str
    int4: bool = False

    @property
    def title(self) -> str:
        """Its name in the table."""
        return f"{self.name} int4" if self.int4 else self.name

    def recipes(self) -> tuple[AdapterRecipe, ...]:
        """The adapters that are made for it."""
        linear = _FUSED if self.name == "phi3" else _ALL[:4] if self.name == "qwen3-moe" else _ALL
        return (
            AdapterRecipe("linear layers", {"target_modules": list(linear)}),
            AdapterRecipe("rsLoRA", {"target_modules": list(linear[:1]), "use_rslora": True}),
            AdapterRecipe("lm_head", {"target_modules": [linear[0], "lm_head"]}),
            AdapterRecipe("embed_tokens", {"target_modules": [linear[0], "embed_tokens"]}),
        )


def make_base(kind: BaseKind, folder: Path) -> PreTrainedModel:
    """Writes a base of this kind into `folder`, with the demo's tokenizer. Returns it with the weights that serve."""
    torch.manual_seed(0)
    model = KINDS[kind.name]()
    for name, parameter in model.named_parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, 0, _embedding_width(kind) if "embed_tokens" in name else _WIDTH)
    _silence(model)
    model.to(torch.bfloat16).save_pretrained(folder)
    for file in _TOKENIZER:
        shutil.copyfile(ARTIFACTS / "base" / file, folder / file)
    if kind.int4:
        _pack(folder)
    return load_base(folder)


def _embedding_width(kind: BaseKind) -> float:
    """The width of embeddings beside which layers still count. Gemma multiplies its own by the root of their size: as
    wide as the others' it would say each token again, with a probability of 1, whatever its layers do."""
    scale: float = _SIZES["hidden_size"] ** 0.5 if kind.name == "gemma3" else 1.0
    return 4 * _WIDTH / scale


def _silence(model: PreTrainedModel) -> None:
    """Keeps the base, and adapters near it, from answering with what is no text, such as the end or half a letter."""
    head = model.get_output_embeddings()
    if head is not None:
        head.weight.data[:WORDLESS] = 0


def _pack(folder: Path) -> None:
    """Packs the linear layers of the base in `folder` to int4."""
    scheme = int4_scheme(_GROUP)
    weights, file = folder / "model.safetensors", folder / "config.json"
    state = {name: tensor.float() for name, tensor in load_file(weights).items()}
    save_file(pack(state, scheme), weights, metadata={"format": "pt"})
    config = json.loads(file.read_text()) | {"quantization_config": quantization_config(scheme)}
    file.write_text(json.dumps(config, indent=2))


def load_base(folder: Path) -> PreTrainedModel:
    """Loads the base in `folder` in float32, int4 as the numbers that it stands for."""
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.from_pretrained(folder)
    if not hasattr(config, "quantization_config"):
        loaded: PreTrainedModel = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        return loaded.eval()
    del config.quantization_config
    model = AutoModelForCausalLM.from_config(config).float()
    missing, unexpected = model.load_state_dict(
        unpack(load_file(folder / "model.safetensors"), int4_scheme(_GROUP)), strict=False
    )
    if unexpected or set(missing) - {"lm_head.weight"}:
        raise ValueError(f"{folder}: {missing} are missing, {unexpected} are too many")
    model.tie_weights()
    plain: PreTrainedModel = model.eval()
    return plain


def make_adapter(base: PreTrainedModel, recipe: AdapterRecipe, folder: Path, *, seed: int = 1) -> Path:
    """Writes an adapter for `base` by PEFT, of random weights that change its answers. Leaves `base` as it was."""
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(seed)
    settings = {"r": 4, "lora_alpha": 8, "task_type": "CAUSAL_LM"} | dict(recipe.config)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = get_peft_model(base, LoraConfig(**settings))
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                parameter.data += torch.randn_like(parameter) * (0.1 if "lora_" in name else 0.02)
            if "lm_head.lora_B" in name:
                parameter.data[:WORDLESS] = 0
        model.save_pretrained(str(folder))
        model.unload()
    return folder
