"""Writes small adapters, whole or broken, as PEFT would save them."""

import json
import math
import struct
from pathlib import Path
from typing import Any

CONFIG: dict[str, Any] = {"peft_type": "LORA", "r": 8, "lora_alpha": 16, "target_modules": ["q_proj"]}


def safetensors(tensors: dict[str, tuple[int, ...]], *, fill: int = 1, dtype: str = "F32", size: int = 4) -> bytes:
    """A safetensors file with tensors of these shapes, all bytes `fill`; `size`: bytes an element of `dtype`."""
    header, offset = {}, 0
    for name, shape in tensors.items():
        end = offset + size * math.prod(shape)
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [offset, end]}
        offset = end
    return with_header(header, bytes([fill]) * offset)


def with_header(header: object, data: bytes) -> bytes:
    """A file with this header, or these bytes as its header, and this data."""
    encoded = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(encoded)) + encoded + data


MODULE = "base_model.model.model.layers.0.self_attn.q_proj"
SHAPES: dict[str, tuple[int, ...]] = {f"{MODULE}.lora_A.weight": (8, 4), f"{MODULE}.lora_B.weight": (6, 8)}


def write_adapter(folder: Path, *, fill: int = 1, **config: Any) -> Path:
    """A whole adapter in `folder`, whose bytes differ by `fill`; `config` overrides its adapter_config.json."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "adapter_config.json").write_text(json.dumps(CONFIG | config))
    (folder / "adapter_model.safetensors").write_bytes(safetensors(SHAPES, fill=fill))
    return folder


def write_base(folder: Path, *, inputs: int = 4) -> Path:
    """The files of a base model, without values, that `write_adapter`'s adapter fits for 4 `inputs`."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {"model.layers.0.self_attn.q_proj.weight": (6, inputs), "model.norm.weight": (4,)}
    (folder / "model.safetensors").write_bytes(safetensors(dict(weights)))
    (folder / "config.json").write_text("{}")
    (folder / "tokenizer.json").write_text("{}")
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    return folder
