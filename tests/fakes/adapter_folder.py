"""Writes small adapters, whole or broken, as PEFT would save them, and a base that they fit."""

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

CONFIG: dict[str, Any] = {"peft_type": "LORA", "r": 8, "lora_alpha": 16, "target_modules": ["q_proj"]}
MODULE = "model.layers.0.self_attn.q_proj"
A, B = (f"base_model.model.{MODULE}.lora_{side}.weight" for side in "AB")
SIZE = 4
Stored = tuple[str, list[int], bytes]


def f32(*shape: int, value: float = 0.5) -> Stored:
    """A float32 tensor of this shape, all elements `value`."""
    count = 1
    for size in shape:
        count *= size
    return "F32", list(shape), struct.pack("<f", value) * count


def safetensors(tensors: Mapping[str, Stored]) -> bytes:
    """A whole safetensors file."""
    header, data = {}, b""
    for name, (dtype, shape, raw) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    return with_header(json.dumps(header).encode(), data)


def with_header(header: bytes, data: bytes) -> bytes:
    """A safetensors file with this header, whatever it holds."""
    return struct.pack("<Q", len(header)) + header + data


def lora(*, rank: int = 8, value: float = 0.5) -> dict[str, Stored]:
    """The tensors of a LoRA of the one module, all elements `value`."""
    return {A: f32(rank, SIZE, value=value), B: f32(SIZE, rank, value=value)}


def write_adapter(folder: Path, *, fill: int = 1, **config: Any) -> Path:
    """A whole adapter in `folder`, whose bytes differ by `fill`; `config` overrides its adapter_config.json."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "adapter_config.json").write_text(json.dumps(CONFIG | config))
    (folder / "adapter_model.safetensors").write_bytes(safetensors(lora(value=(fill + 1) / 8)))
    return folder


def write_base(folder: Path, *, size: int = SIZE, template: str = "{{ messages }}") -> Path:
    """A base model's folder that has the one module, of `size` inputs and outputs, with a tokenizer."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(safetensors({f"{MODULE}.weight": f32(size, size)}))
    (folder / "tokenizer.json").write_text('{"model": {"vocab": {"a": 0}, "merges": ["a b"]}, "padding": null}')
    (folder / "chat_template.jinja").write_text(template)
    return folder
