"""The quantization of the base's linear layers to int4 (compressed-tensors W4A16, `pack-quantized`).

Weights are rounded to the nearest, per group of inputs, with the clipping that loses least in the mean square.
Embeddings, norms and the head stay in bfloat16. Packing and unpacking are compressed-tensors' own.
"""

import json
from pathlib import Path
from typing import Any

import torch
from compressed_tensors.compressors.pack_quantized.base import PackedQuantizationCompressor
from compressed_tensors.quantization import (
    QuantizationArgs,
    QuantizationConfig,
    QuantizationScheme,
    QuantizationStatus,
)
from compressed_tensors.quantization.lifecycle.forward import fake_quantize
from safetensors.torch import load_file, save_file
from transformers import LlamaForCausalLM

WEIGHTS_FILE = "model.safetensors"
FILE_MODE = 0o644  # safetensors makes files that only their owner may read
LEVELS = 7.5
SHRINKS = (1.0, 0.95, 0.9, 0.85, 0.8, 0.75, 0.7)
Tensors = dict[str, torch.Tensor]


def int4_scheme(group_size: int) -> QuantizationScheme:
    """Returns the scheme: weights in symmetric int4 by groups of inputs, activations untouched."""
    weights = QuantizationArgs(num_bits=4, group_size=group_size, symmetric=True)
    return QuantizationScheme(targets=["Linear"], weights=weights)


def group_scales(weight: torch.Tensor, scheme: QuantizationScheme) -> torch.Tensor:
    """Computes the scales [out, in / group] in bfloat16 that lose least in the mean square; `weight`: [out, in]."""
    size = scheme.weights.group_size
    grouped = weight.reshape(weight.shape[0], -1, size)
    widest = grouped.abs().amax(-1).clamp(min=1e-6) / LEVELS
    best, least_error = widest, torch.full_like(widest, torch.inf)
    for shrink in SHRINKS:
        scale = (widest * shrink).bfloat16().float()
        rounded = fake_quantize(weight, scale, torch.zeros_like(scale), scheme.weights)
        error = (rounded - weight).reshape_as(grouped).square().sum(-1)
        best, least_error = torch.where(error < least_error, scale, best), torch.minimum(error, least_error)
    return best.bfloat16()


def is_quantized(name: str) -> bool:
    """Whether this parameter belongs to a linear layer inside a block."""
    return name.endswith("_proj.weight")


def pack(state: Tensors, scheme: QuantizationScheme) -> Tensors:
    """Packs a float32 state into the tensors that are stored."""
    packed: Tensors = {}
    for name, value in state.items():
        if not is_quantized(name):
            packed[name] = value.bfloat16().contiguous()
            continue
        layer = {"weight": value.float(), "weight_scale": group_scales(value.float(), scheme).float()}
        for part, tensor in PackedQuantizationCompressor.compress(layer, scheme).items():
            kept = tensor.bfloat16() if part == "weight_scale" else tensor
            packed[f"{name.removesuffix('weight')}{part}"] = kept.contiguous()
    return packed


def unpack(packed: Tensors, scheme: QuantizationScheme) -> Tensors:
    """Unpacks the stored tensors into the float32 weights that the kernels compute with."""
    parts = ("weight_packed", "weight_scale", "weight_shape")
    state = {name: value.float() for name, value in packed.items() if not name.endswith(parts)}
    for name in [key for key in packed if key.endswith("weight_packed")]:
        stem = name.removesuffix("weight_packed")
        layer = {part: packed[stem + part] for part in parts}
        layer["weight_scale"] = layer["weight_scale"].float()
        state[f"{stem}weight"] = PackedQuantizationCompressor.decompress(layer, scheme)["weight"].float()
    return state


def quantization_config(scheme: QuantizationScheme) -> dict[str, Any]:
    """Builds `quantization_config` as vLLM and transformers read it from `config.json`."""
    config = QuantizationConfig(
        config_groups={"group_0": scheme},
        format="pack-quantized",
        quantization_status=QuantizationStatus.COMPRESSED,
        ignore=["lm_head"],
    )
    fields: dict[str, Any] = json.loads(config.model_dump_json(exclude_none=True))
    return fields


def save_quantized(model: LlamaForCausalLM, folder: Path, group_size: int) -> None:
    """Writes `config.json` and the packed weights."""
    scheme = int4_scheme(group_size)
    config = model.config.to_diff_dict()
    config |= {"dtype": "bfloat16", "architectures": ["LlamaForCausalLM"]}
    config["quantization_config"] = quantization_config(scheme)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(f"{json.dumps(config, indent=2, sort_keys=True)}\n", encoding="utf-8")
    save_file(pack(model.state_dict(), scheme), folder / WEIGHTS_FILE, metadata={"format": "pt"})
    (folder / WEIGHTS_FILE).chmod(FILE_MODE)


def load_dequantized(folder: Path, model: LlamaForCausalLM, group_size: int) -> None:
    """Loads the int4 weights, as they will serve, into `model`."""
    model.load_state_dict(unpack(load_file(folder / WEIGHTS_FILE), int4_scheme(group_size)))
