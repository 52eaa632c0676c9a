"""A strict reader of safetensors headers, and a writer of some of a file's tensors. Source: https://github.com/huggingface/safetensors#format

Every file that it accepts, the safetensors library accepts, too, and understands in the same way. Some that the library
lets through, such as one with a name that is given twice, are refused here. The reader reads only the header.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

from patchbay.adapters.checks.strict_json import decode, shown
from patchbay.core.errors import AdapterError

MAX_HEADER_BYTES = 100_000_000
_MAX_ELEMENTS = 2**48
_BLOCK_BYTES = 1024 * 1024
_METADATA = "__metadata__"
_FIELDS = frozenset({"dtype", "shape", "data_offsets"})
_BITS: Mapping[str, int] = {
    "BOOL": 8, "U8": 8, "I8": 8, "U16": 16, "I16": 16, "U32": 32, "I32": 32, "U64": 64, "I64": 64,
    "F4": 4, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F16": 16, "BF16": 16, "F32": 32, "F64": 64,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor of a file: its bytes are those from `start` to before `end`, counted from the file's first."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int


def read_header(path: Path, *, max_bytes: int = MAX_HEADER_BYTES) -> dict[str, Tensor]:
    """Reads the tensors of the safetensors file at `path`, by name, in the order of their bytes.

    Raises AdapterError where the header is longer than `max_bytes` or the file, is no strict JSON of the format's
    shape, or where the tensors' bytes do not cover the rest of the file exactly, without a gap or an overlap.
    """
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(0)
            length = _header_length(file.read(8), size, max_bytes, path)
            raw = file.read(length)
    except OSError as error:
        raise AdapterError(f"{path} cannot be read: {error.strerror}.") from error
    tensors = [_tensor(name, entry, 8 + length, path) for name, entry in _entries(raw, path).items()]
    tensors.sort(key=lambda tensor: (tensor.start, tensor.end))
    _check_cover(tensors, 8 + length, size, path)
    return {tensor.name: tensor for tensor in tensors}


def write_tensors(source: Path, tensors: Iterable[Tensor], target: Path) -> None:
    """Writes a new safetensors file `target` with these `tensors` of the file `source`, byte for byte.

    Raises AdapterError where `source` is cut short by now.
    """
    listed = list(tensors)
    with source.open("rb") as reader, target.open("xb") as writer:
        writer.write(header_of((tensor.name, tensor.dtype, tensor.shape) for tensor in listed))
        for tensor in listed:
            reader.seek(tensor.start)
            _copy(reader, writer, tensor.end - tensor.start)


def header_of(tensors: Iterable[tuple[str, str, tuple[int, ...]]]) -> bytes:
    """Makes the header of a file of `tensors`, each a name, a dtype and a shape, in the order of their bytes."""
    entries: dict[str, Any] = {_METADATA: {"format": "pt"}}
    place = 0
    for name, dtype, shape in tensors:
        end = place + size_of(dtype, shape)
        entries[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [place, end]}
        place = end
    header = json.dumps(entries).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header


def size_of(dtype: str, shape: tuple[int, ...]) -> int:
    """Returns the bytes of a tensor. `dtype`: one that the format knows."""
    return prod(shape) * _BITS[dtype] // 8


def _copy(reader: BinaryIO, writer: BinaryIO, count: int) -> None:
    while count > 0:
        block = reader.read(min(count, _BLOCK_BYTES))
        if not block:
            raise AdapterError("The weights changed while they were read.", hint="Try again when they are complete.")
        writer.write(block)
        count -= len(block)


def _header_length(prefix: bytes, size: int, max_bytes: int, path: Path) -> int:
    length = int.from_bytes(prefix, "little")
    if size < 8 or length > size - 8:
        raise AdapterError(
            f"{path} is no safetensors file, or is cut short: its header does not fit into its {size} bytes.",
            hint="Copy or download it again.",
        )
    if length > max_bytes:
        raise AdapterError(f"{path}: the header takes {length} bytes, expected at most {max_bytes}.")
    return length


def _entries(raw: bytes, path: Path) -> dict[str, Any]:
    try:
        header = decode(raw, parse_int=_whole)
    except ValueError as error:
        raise AdapterError(f"{path} is no safetensors file: its header is not JSON: {error}.") from error
    if not isinstance(header, dict) or raw[:1] != b"{":
        raise AdapterError(f"{path} is no safetensors file: its header is no JSON object from its first byte on.")
    metadata = header.pop(_METADATA, {})
    texts = [*header]
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise AdapterError(f"{path}: the header's {_METADATA} must map text to text.")
    for text in (*texts, *metadata, *metadata.values()):
        _check_unicode(text, path)
    return header


def _whole(text: str) -> int:
    # The library reads "-0" as a float, and refuses it; Python reads it as 0.
    if text.startswith("-"):
        raise ValueError(f"the number {text[:20]} is negative")
    return int(text)


def _check_unicode(text: str, path: Path) -> None:
    """Refuses half a surrogate pair, which JSON's escapes can write and which is no text."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise AdapterError(f"{path}: the header holds {shown(text)}, which is not Unicode text.") from error


def _tensor(name: str, entry: object, base: int, path: Path) -> Tensor:
    where = f"{path}: the tensor {shown(name)}"
    if not isinstance(entry, dict) or entry.keys() != _FIELDS:
        raise AdapterError(f"{where} must have dtype, shape and data_offsets, and nothing else.")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _BITS:
        raise AdapterError(f"{where} has the dtype {shown(str(dtype))}, expected one of {', '.join(_BITS)}.")
    if not _are_whole(shape):
        raise AdapterError(f"{where} has a shape that is no list of whole numbers.")
    if not _are_whole(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        raise AdapterError(f"{where} has data_offsets that are not its start and its end.")
    bits = _elements(shape, where) * _BITS[dtype]
    if bits != 8 * (offsets[1] - offsets[0]):
        raise AdapterError(
            f"{where} has {offsets[1] - offsets[0]} bytes, but {dtype} of shape {shape} takes {(bits + 7) // 8}."
        )
    return Tensor(name, dtype, tuple(shape), base + offsets[0], base + offsets[1])


def _are_whole(value: object) -> bool:
    return isinstance(value, list) and all(type(number) is int and number < 2**63 for number in value)


def _elements(shape: list[int], where: str) -> int:
    """Multiplies `shape`, kept small at every step: the library refuses one that overflows, even if a 0 follows."""
    count = 1
    for size in shape:
        count *= size
        if count > _MAX_ELEMENTS:
            raise AdapterError(f"{where} has a shape of more than {_MAX_ELEMENTS} elements.")
    return count


def _check_cover(tensors: list[Tensor], begin: int, size: int, path: Path) -> None:
    offset = begin
    for tensor in tensors:
        if tensor.start != offset:
            fault = "overlaps the one before it" if tensor.start < offset else "leaves a gap before it"
            raise AdapterError(
                f"{path}: the tensor {shown(tensor.name)} {fault}: "
                f"it begins at byte {tensor.start - begin}, expected {offset - begin}."
            )
        offset = tensor.end
        if offset > size:
            raise AdapterError(
                f"{path} is cut short: the tensor {shown(tensor.name)} ends at {offset - begin} "
                f"of {size - begin} bytes.",
                hint="Copy or download it again.",
            )
    if offset != size:
        raise AdapterError(f"{path} has {size - offset} bytes behind its last tensor, which belong to none.")
