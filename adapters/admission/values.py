"""The numbers of a LoRA: all finite, and not without effect. Reads the file in small pieces."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from adapters.admission.safetensors import Tensor
from adapters.admission.strict_json import shown
from adapters.admission.structure import LoraPair
from adapters.errors import AdapterError

_CHUNK_BYTES = 1024 * 1024
# As IEEE 754 and bfloat16 lay them out: the bits without the sign, and the bits of infinity, above which all are NaN.
_LAYOUTS = {"F32": ("<u4", 0x7FFFFFFF, 0x7F800000), "F16": ("<u2", 0x7FFF, 0x7C00), "BF16": ("<u2", 0x7FFF, 0x7F80)}


def check_values(pairs: Iterable[LoraPair], path: Path) -> None:
    """Raises AdapterError where a tensor of `pairs`, in the file `path`, holds NaN or Inf, or where none of the pairs
    has an effect, because its A or its B is all zeros."""
    try:
        with path.open("rb") as file:
            effects = [(_is_nonzero(pair.a, file, path), _is_nonzero(pair.b, file, path)) for pair in pairs]
    except OSError as error:
        raise AdapterError(f"{path} cannot be read: {error.strerror}.") from error
    if not any(b for _, b in effects):
        raise AdapterError(
            f"{path}: every lora_B is all zeros, expected at least one that is not: the adapter is untrained, as PEFT "
            "begins it, and would answer as the base model does.",
            hint="Save it after training.",
        )
    if not any(a and b for a, b in effects):
        raise AdapterError(
            f"{path}: in every module lora_A or lora_B is all zeros, so that the adapter changes nothing.",
            hint="Save it after training.",
        )


def _is_nonzero(tensor: Tensor, file: BinaryIO, path: Path) -> bool:
    import numpy as np  # here, since a router is installed without it

    kind, magnitude, infinity = _LAYOUTS[tensor.dtype]
    nonzero, index = False, 0
    for chunk in _chunks(tensor, file, path):
        bits = np.frombuffer(chunk, dtype=kind) & magnitude
        largest = int(bits.max())
        if largest >= infinity:
            at = index + int(np.argmax(bits >= infinity))
            word = "NaN" if int(bits[at - index]) > infinity else "Inf"
            raise AdapterError(
                f"{path}: the tensor {shown(tensor.name)} holds {word} at element {at}, expected finite numbers.",
                hint="The training diverged: take an earlier checkpoint.",
            )
        nonzero = nonzero or largest > 0
        index += len(bits)
    return nonzero


def _chunks(tensor: Tensor, file: BinaryIO, path: Path) -> Iterator[bytes]:
    file.seek(tensor.start)
    for at in range(tensor.start, tensor.end, _CHUNK_BYTES):
        wanted = min(_CHUNK_BYTES, tensor.end - at)
        chunk = file.read(wanted)
        if len(chunk) != wanted:
            raise AdapterError(f"{path} changed while it was read.", hint="Try again when it is complete.")
        yield chunk
