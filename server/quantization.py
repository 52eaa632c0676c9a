"""The quantizations of vLLM, and whether one can be applied to a checkpoint, without importing vLLM. Pure, but for
reading."""

import json
from pathlib import Path
from typing import Any, Final

from patchbay.core.names import meant

# vLLM 0.32: vllm.model_executor.layers.quantization.QuantizationMethods. A test holds this to the installed one.
METHODS: Final = frozenset(
    {
        "auto_awq",
        "auto_gptq",
        "awq",
        "awq_marlin",
        "compressed-tensors",
        "deepseek_v4_fp8",
        "experts_int8",
        "fbgemm_fp8",
        "fp8",
        "fp8_per_block",
        "fp8_per_channel",
        "fp8_per_tensor",
        "fp_quant",
        "gpt_oss_mxfp4",
        "gptq",
        "gptq_marlin",
        "humming",
        "inc",
        "int8_per_channel_weight_only",
        "modelopt",
        "modelopt_fp4",
        "modelopt_mixed",
        "modelopt_mxfp8",
        "moe_wna16",
        "mxfp4",
        "mxfp8",
        "nvfp4_per_token",
        "online",
        "quark",
        "torchao",
    }
)
# Methods that read weights which are quantized already, with the names that checkpoints give them.
_READS: Final = {
    "auto_awq": {"awq"},
    "auto_gptq": {"gptq"},
    "awq": {"awq"},
    "awq_marlin": {"awq"},
    "compressed-tensors": {"compressed-tensors"},
    "gptq": {"gptq"},
    "gptq_marlin": {"gptq"},
    "quark": {"quark"},
}
# Methods that quantize weights which are not, while they are loaded.
_QUANTIZES: Final = frozenset(
    {"fp8_per_block", "fp8_per_channel", "fp8_per_tensor", "int8_per_channel_weight_only", "nvfp4_per_token"}
)
# Files beside config.json in which older checkpoints say how they are quantized.
_OWN_FILES: Final = ("quantize_config.json", "quant_config.json", "hf_quant_config.json")
_MOST_BYTES: Final = 4 * 1024 * 1024


def quantization_fault(quantization: str, folder: Path) -> str | None:
    """Returns why the base in `folder` cannot be served with `quantization`, with what to write; None where it can, as
    far as is known before it is loaded. `folder` need not exist: then only the name is looked at."""
    if quantization not in METHODS:
        return f"vLLM has no quantization '{quantization[:80]}' ({meant(quantization, METHODS)})"
    own = _own_method(folder)
    return _misfit(quantization, own) if own is not None else None


def _misfit(quantization: str, own: str) -> str | None:
    """Returns why `quantization` does not go with a checkpoint whose own is `own`, empty for none."""
    if quantization in _QUANTIZES and own:
        return f"'{quantization}' quantizes while it loads, and this checkpoint is '{own}' already: leave it out"
    if (reads := _READS.get(quantization)) is None or own in reads:
        return None
    if own:
        return f"'{quantization}' cannot read this checkpoint, which is '{own}': leave it out, and vLLM takes that"
    ways = ", ".join(sorted(_QUANTIZES))
    return f"'{quantization}' reads quantized weights, and these are not: leave it out, or quantize by one of {ways}"


def _own_method(folder: Path) -> str | None:
    """Returns how the checkpoint in `folder` is quantized, empty where it is not, None where that cannot be told."""
    file = folder / "config.json"
    if not file.is_file() or any((folder / name).exists() for name in _OWN_FILES):
        return None
    try:
        if file.stat().st_size > _MOST_BYTES:
            return None
        config: Any = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    section = config.get("quantization_config") if isinstance(config, dict) else None
    if section is None:
        return ""
    method = section.get("quant_method") if isinstance(section, dict) else None
    return method if isinstance(method, str) else None
