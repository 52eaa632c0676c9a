"""A strict reader of safetensors headers. Source: https://github.com/huggingface/safetensors#format"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from adapters.errors import AdapterError

MAX_HEADER_BYTES = 100_000_000
_LENGTH_BYTES = 8
_SIZES: Mapping[str, int] = MappingProxyType(
    {"F64": 8, "I64": 8, "U64": 8, "F32": 4, "I32": 4, "U32": 4, "F16": 2, "BF16": 2, "I16": 2, "U16": 2}
    | {"F8_E4M3": 1, "F8_E5M2": 1, "I8": 1, "U8": 1, "BOOL": 1}
)


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor in a file: its element type, its shape, and where its bytes begin and end in the file."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of the safetensors file at `path`, by name; their bytes are not read.

    Raises AdapterError where the file is cut short, is longer than its tensors, or where its header is anything but
    what the format says: every tensor's extent fits its shape, and together they cover the data without gap or overlap.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
        if size < _LENGTH_BYTES or length > min(size - _LENGTH_BYTES, MAX_HEADER_BYTES):
            raise AdapterError(f"{path} is no safetensors file, or is cut short: its header does not fit into it.")
        entries = _parse(file.read(length), path)
    start = _LENGTH_BYTES + length
    tensors = {name: _tensor(name, entry, start, path) for name, entry in entries.items()}
    _check_cover(tensors, start, size, path)
    return tensors


def _parse(raw: bytes, path: Path) -> dict[str, Any]:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        fields = dict(pairs)
        if len(fields) != len(pairs):
            raise AdapterError(f"{path}: a name occurs twice in its header.")
        return fields

    try:
        header = json.loads(raw.decode(), object_pairs_hook=once)
    except (ValueError, RecursionError) as error:
        raise AdapterError(f"{path} is no safetensors file: its header is not JSON.") from error
    if not raw.startswith(b"{") or not isinstance(header, dict):
        raise AdapterError(f"{path} is no safetensors file: its header is no JSON object.")
    header.pop("__metadata__", None)
    return header


def _tensor(name: str, entry: Any, start: int, path: Path) -> Tensor:
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise AdapterError(f"{path}: the tensor {name} must have a dtype, a shape and data_offsets, and nothing else.")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _SIZES:
        raise AdapterError(f"{path}: the tensor {name} has the unknown dtype {str(dtype)[:40]!r}.")
    if not _are_sizes(shape) or not _are_sizes(offsets) or len(offsets) != 2:
        raise AdapterError(f"{path}: the shape and data_offsets of the tensor {name} must be lists of whole numbers.")
    if offsets[1] - offsets[0] != math.prod(shape) * _SIZES[dtype]:
        raise AdapterError(
            f"{path}: the tensor {name} of shape {shape} has {offsets[1] - offsets[0]} bytes of {dtype}."
        )
    return Tensor(dtype, tuple(shape), start + offsets[0], start + offsets[1])


def _are_sizes(value: Any) -> bool:
    return isinstance(value, list) and all(type(size) is int and 0 <= size < 2**63 for size in value)


def _check_cover(tensors: Mapping[str, Tensor], start: int, size: int, path: Path) -> None:
    reached = start
    for name, tensor in sorted(tensors.items(), key=lambda item: (item[1].begin, item[1].end)):
        if tensor.begin != reached:
            fault = "overlaps the one before it" if tensor.begin < reached else "leaves a gap before it"
            raise AdapterError(f"{path}: the tensor {name} {fault}.")
        reached = tensor.end
    if reached != size:
        fault = "is cut short" if reached > size else "has bytes after its last tensor"
        raise AdapterError(f"{path} {fault}: its tensors end at byte {reached} of {size}.")
