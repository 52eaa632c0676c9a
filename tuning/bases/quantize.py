"""The quantization of a base's linear layers to int4 (compressed-tensors W4A16, `pack-quantized`).

Weights are rounded per group of inputs: to the nearest, with the range that loses least in the mean square, or by
`gptq`. Embeddings, norms and the head stay in bfloat16. Packing and unpacking are compressed-tensors' own.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
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
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import PreTrainedModel

WEIGHTS_FILE = "model.safetensors"
FILE_MODE = 0o644  # safetensors makes files that only their owner may read
LOWEST, HIGHEST, LEVELS = -8, 7, 15
SHRINKS = (1.0, 0.95, 0.9, 0.85, 0.8, 0.75, 0.7)
_FOREIGN = ("quantization_config", "_name_or_path", "_model_name_or_path")
_PARTS = ("weight_packed", "weight_scale", "weight_shape", "weight_zero_point")
Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True, slots=True)
class Grid:
    """The int4 grid of weights: `scale` (bfloat16 numbers, held as float32) and `zero`, the integer that stands for 0,
    -8 to 7. Both are [..., groups]."""

    scale: torch.Tensor
    zero: torch.Tensor

    def rounded(self, weight: torch.Tensor) -> torch.Tensor:
        """Rounds `weight` [..., groups, size] to the nearest points of the grid."""
        scale, zero = self.scale.unsqueeze(-1), self.zero.unsqueeze(-1)
        return (((weight / scale).round() + zero).clamp(LOWEST, HIGHEST) - zero) * scale


def int4_scheme(group_size: int, *, symmetric: bool = True) -> QuantizationScheme:
    """Returns the scheme: weights in int4 by groups of inputs, activations untouched."""
    weights = QuantizationArgs(num_bits=4, group_size=group_size, symmetric=symmetric)
    return QuantizationScheme(targets=["Linear"], weights=weights)


def best_grid(grouped: torch.Tensor, *, symmetric: bool) -> Grid:
    """Finds the grid that loses least in the mean square; `grouped`: weights [..., groups, size] in float32.

    Errors are compared in float64, so that no machine's order of addition decides.
    """
    best, least_error = None, torch.full(grouped.shape[:-1], torch.inf, dtype=torch.float64)
    for shrink in SHRINKS:
        grid = _symmetric(grouped, shrink) if symmetric else _asymmetric(grouped, shrink)
        error = (grid.rounded(grouped) - grouped).double().square().sum(-1)
        better = error < least_error
        best = grid if best is None else _chosen(better, grid, best)
        least_error = torch.minimum(error, least_error)
    assert best is not None  # noqa: S101 - there are shrinks
    return best


def _symmetric(grouped: torch.Tensor, shrink: float) -> Grid:
    widest = grouped.abs().amax(-1).clamp(min=1e-6) / (LEVELS / 2)
    scale = (widest * shrink).bfloat16().float()
    return Grid(scale, torch.zeros_like(scale))


def _asymmetric(grouped: torch.Tensor, shrink: float) -> Grid:
    low, high = grouped.amin(-1).clamp(max=0.0), grouped.amax(-1).clamp(min=0.0)
    scale = ((high - low).clamp(min=1e-6) / LEVELS * shrink).bfloat16().float()
    # The middle of the range stays where it is when the range shrinks.
    zero = (-(low + high) / 2 / scale - 0.5).round().clamp(LOWEST, HIGHEST)
    return Grid(scale, zero)


def _chosen(first: torch.Tensor, one: Grid, other: Grid) -> Grid:
    return Grid(torch.where(first, one.scale, other.scale), torch.where(first, one.zero, other.zero))


def group_scales(weight: torch.Tensor, scheme: QuantizationScheme) -> torch.Tensor:
    """Computes the scales [out, in / group] in bfloat16 that lose least in the mean square; `weight`: [out, in]."""
    return nearest_grid(weight, scheme).scale.bfloat16()


def nearest_grid(weight: torch.Tensor, scheme: QuantizationScheme) -> Grid:
    """Finds the grid of `weight` [out, in] for rounding to the nearest."""
    grouped = weight.reshape(weight.shape[0], -1, scheme.weights.group_size)
    return best_grid(grouped, symmetric=scheme.weights.symmetric)


def block_linears(model: nn.Module) -> dict[str, nn.Linear]:
    """Finds the linear layers inside the blocks of `model` by name: those below a list of modules. The head is none."""
    lists = tuple(f"{name}." for name, module in model.named_modules() if isinstance(module, nn.ModuleList))
    found = {name: module for name, module in model.named_modules() if isinstance(module, nn.Linear)}
    return {name: module for name, module in found.items() if name.startswith(lists)}


def is_quantized(name: str) -> bool:
    """Whether this parameter of a Llama belongs to a linear layer inside a block."""
    return name.endswith("_proj.weight")


def pack(state: Tensors, scheme: QuantizationScheme, grids: Mapping[str, Grid] | None = None) -> Tensors:
    """Packs a float32 state into the tensors that are stored.

    `grids`: the grid of each weight that is quantized; by default Llama's linear layers, rounded to the nearest.
    """
    packed: Tensors = {}
    for name, value in state.items():
        grid = grids.get(name) if grids is not None else None
        if grids is None and is_quantized(name):
            grid = nearest_grid(value.float(), scheme)
        if grid is None:
            packed[name] = value.bfloat16().contiguous()
        else:
            stem = name.removesuffix("weight")
            packed |= {f"{stem}{part}": tensor for part, tensor in _packed(value.float(), grid, scheme).items()}
    return packed


def _packed(weight: torch.Tensor, grid: Grid, scheme: QuantizationScheme) -> Tensors:
    layer = {"weight": weight, "weight_scale": grid.scale}
    if not scheme.weights.symmetric:
        layer["weight_zero_point"] = grid.zero.to(torch.int8)
    parts = PackedQuantizationCompressor.compress(layer, scheme)
    parts["weight_scale"] = parts["weight_scale"].bfloat16()
    return {part: tensor.contiguous() for part, tensor in parts.items()}


def unpack(packed: Tensors, scheme: QuantizationScheme) -> Tensors:
    """Unpacks the stored tensors into the float32 weights that the kernels compute with."""
    state = {name: value.float() for name, value in packed.items() if not name.endswith(_PARTS)}
    for name in [key for key in packed if key.endswith("weight_packed")]:
        stem = name.removesuffix("weight_packed")
        layer = {part: packed[stem + part] for part in _PARTS if stem + part in packed}
        layer["weight_scale"] = layer["weight_scale"].float()
        state[f"{stem}weight"] = PackedQuantizationCompressor.decompress(layer, scheme)["weight"].float()
    return state


def quantization_config(scheme: QuantizationScheme, ignored: Collection[str] = ("lm_head",)) -> dict[str, Any]:
    """Builds `quantization_config` as vLLM and transformers read it from `config.json`; `ignored`: the linear layers
    that stay as they are."""
    config = QuantizationConfig(
        config_groups={"group_0": scheme},
        format="pack-quantized",
        quantization_status=QuantizationStatus.COMPRESSED,
        ignore=list(ignored),
    )
    fields: dict[str, Any] = json.loads(config.model_dump_json(exclude_none=True))
    return fields


def save_quantized(model: PreTrainedModel, folder: Path, group_size: int) -> None:
    """Writes `config.json` and the packed weights, symmetric and rounded to the nearest."""
    scheme = int4_scheme(group_size)
    write_config(model, folder, quantization_config(scheme))
    write_weights(pack(model.state_dict(), scheme), folder)


def write_config(model: PreTrainedModel, folder: Path, quantization: Mapping[str, Any] | None) -> None:
    """Writes `config.json`, in bfloat16, with `quantization` or none."""
    config = model.config.to_diff_dict()
    # What names the file that it was read from, and not the model.
    config = {name: value for name, value in config.items() if name not in _FOREIGN}
    config |= {"dtype": "bfloat16", "architectures": [type(model).__name__]}
    if quantization is not None:
        config["quantization_config"] = dict(quantization)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(f"{json.dumps(config, indent=2, sort_keys=True)}\n", encoding="utf-8")


def write_weights(tensors: Tensors, folder: Path) -> None:
    """Writes the tensors as the one file of weights."""
    save_file(tensors, folder / WEIGHTS_FILE, metadata={"format": "pt"})
    (folder / WEIGHTS_FILE).chmod(FILE_MODE)


def load_dequantized(folder: Path, model: PreTrainedModel, group_size: int, *, symmetric: bool = True) -> None:
    """Loads the int4 weights, as they will serve, into `model`."""
    model.load_state_dict(unpack(load_file(folder / WEIGHTS_FILE), int4_scheme(group_size, symmetric=symmetric)))
