"""Writes small adapters, whole or broken, as PEFT would save them."""

import json
import struct
from pathlib import Path
from typing import Any

CONFIG: dict[str, Any] = {"peft_type": "LORA", "r": 8, "lora_alpha": 16, "target_modules": ["q_proj"]}


def safetensors(tensors: dict[str, int], *, fill: int = 1) -> bytes:
    """A safetensors file with float32 tensors of so many elements each, all bytes `fill`."""
    header, offset = {}, 0
    for name, count in tensors.items():
        header[name] = {"dtype": "F32", "shape": [count], "data_offsets": [offset, offset + 4 * count]}
        offset += 4 * count
    encoded = json.dumps(header).encode()
    return struct.pack("<Q", len(encoded)) + encoded + bytes([fill]) * offset


def write_adapter(folder: Path, *, fill: int = 1, **config: Any) -> Path:
    """A whole adapter in `folder`, whose bytes differ by `fill`; `config` overrides its adapter_config.json."""
    folder.mkdir(parents=True, exist_ok=True)
    module = "base_model.model.model.layers.0.self_attn.q_proj"
    weights = safetensors({f"{module}.lora_A.weight": 8, f"{module}.lora_B.weight": 8}, fill=fill)
    (folder / "adapter_config.json").write_text(json.dumps(CONFIG | config))
    (folder / "adapter_model.safetensors").write_bytes(weights)
    return folder
