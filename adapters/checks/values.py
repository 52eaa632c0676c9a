"""The check of a LoRA's numbers: all finite, of a size that training gives, and not without effect.

The file is read in small pieces.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from patchbay.adapters.checks.config import LoraSettings
from patchbay.adapters.checks.safetensors import Tensor
from patchbay.adapters.checks.strict_json import shown
from patchbay.adapters.checks.structure import LoraPair
from patchbay.adapters.contents import CONFIG_FILE
from patchbay.core.errors import AdapterError

# The largest value of a factor, lora_A or scaled lora_B, and of their scaled product. Trained factors stay below some
# tens, even PiSSA's, which are square roots of singular values, and weights of bases below some hundreds. Both bounds
# lie far below the largest number of float16 (65504), and so of every dtype that an engine serves in.
MOST_IN_FACTOR = 1000.0
MOST_IN_PRODUCT = 1000.0
_CHUNK_BYTES = 1024 * 1024
# As IEEE 754 and bfloat16 lay them out: the bits without the sign, and the bits of infinity, above which all are NaN.
_LAYOUTS = {"F32": ("<u4", 0x7FFFFFFF, 0x7F800000), "F16": ("<u2", 0x7FFF, 0x7C00), "BF16": ("<u2", 0x7FFF, 0x7F80)}


def check_values(pairs: Sequence[LoraPair], settings: LoraSettings, path: Path) -> None:
    """Checks the numbers of every tensor of `pairs`, in the file `path`.

    Raises AdapterError where a tensor holds NaN or Inf, where a factor or a product is larger than any that training
    gives, or where none of the pairs has an effect, because its A, its B or its scale is
    zero.
    """
    try:
        with path.open("rb") as file:
            effects = [_check_pair(pair, settings.scale_of(pair.module), file, path) for pair in pairs]
    except OSError as error:
        raise AdapterError(f"{path} cannot be read: {error.strerror}.") from error
    if not any(settings.scale_of(pair.module) for pair in pairs):
        raise AdapterError(
            f"{path.with_name(CONFIG_FILE)}: lora_alpha is 0, so that the adapter changes nothing.",
            hint="Give the adapter_config.json that was saved with these weights.",
        )
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


def _check_pair(pair: LoraPair, scale: float, file: BinaryIO, path: Path) -> tuple[bool, bool]:
    """Checks one pair. Returns whether A, and whether B, has any value but zero."""
    a, b = _largest(pair.a, file, path), _largest(pair.b, file, path)
    scaled = b * abs(scale)
    for tensor, value, what in ((pair.a, a, "holds"), (pair.b, scaled, "holds, once it is scaled,")):
        if value > MOST_IN_FACTOR:
            raise AdapterError(
                f"{path}: the tensor {shown(tensor.name)} {what} {value:.4g}, expected at most {MOST_IN_FACTOR:g}.",
                hint="The training diverged: take an earlier checkpoint.",
            )
    # No element of the product is larger than the rank times the largest of both: only beyond that is it computed.
    if not pair.fused_experts and a * scaled * pair.a.shape[0] > MOST_IN_PRODUCT:
        _check_product(pair, abs(scale), file, path)
    return a > 0, b > 0


def _check_product(pair: LoraPair, scale: float, file: BinaryIO, path: Path) -> None:
    import numpy as np

    a, b = _matrix(pair.a, file, path), _matrix(pair.b, file, path)
    # In pieces of rows, since a product can be as large as the base's own matrix.
    largest = max(float(np.abs(b[row : row + 256] @ a).max()) for row in range(0, len(b), 256)) * scale
    if largest > MOST_IN_PRODUCT:
        raise AdapterError(
            f"{path}: the scaled product of {shown(pair.b.name)} and {shown(pair.a.name)} holds {largest:.4g}, "
            f"expected at most {MOST_IN_PRODUCT:g}.",
            hint="The training diverged: take an earlier checkpoint.",
        )


def _matrix(tensor: Tensor, file: BinaryIO, path: Path) -> Any:
    import numpy as np

    kind = _LAYOUTS[tensor.dtype][0]
    bits = np.frombuffer(b"".join(_chunks(tensor, file, path)), dtype=kind)
    return _numbers(bits, tensor.dtype).reshape(tensor.shape)


def _numbers(bits: Any, dtype: str) -> Any:
    """Converts these bits of a tensor to the float32 numbers that they mean."""
    import numpy as np

    if dtype == "BF16":
        return (bits.astype("<u4") << 16).view("<f4")
    return bits.view("<f2" if dtype == "F16" else "<f4").astype(np.float32)


def _largest(tensor: Tensor, file: BinaryIO, path: Path) -> float:
    """Finds the largest magnitude in `tensor`. Raises AdapterError where it holds NaN or Inf."""
    import numpy as np  # here, since a router is installed without it

    kind, magnitude, infinity = _LAYOUTS[tensor.dtype]
    largest_so_far, elements_before = 0, 0
    for chunk in _chunks(tensor, file, path):
        bits = np.frombuffer(chunk, dtype=kind) & magnitude
        largest = int(bits.max())
        if largest >= infinity:
            element = elements_before + int(np.argmax(bits >= infinity))
            word = "NaN" if int(bits[element - elements_before]) > infinity else "Inf"
            raise AdapterError(
                f"{path}: the tensor {shown(tensor.name)} holds {word} at element {element}, expected finite numbers.",
                hint="The training diverged: take an earlier checkpoint.",
            )
        largest_so_far = max(largest_so_far, largest)
        elements_before += len(bits)
    return float(_numbers(np.array([largest_so_far], dtype=kind), tensor.dtype)[0])


def _chunks(tensor: Tensor, file: BinaryIO, path: Path) -> Iterator[bytes]:
    file.seek(tensor.start)
    for offset in range(tensor.start, tensor.end, _CHUNK_BYTES):
        wanted = min(_CHUNK_BYTES, tensor.end - offset)
        chunk = file.read(wanted)
        if len(chunk) != wanted:
            raise AdapterError(f"{path} changed while it was read.", hint="Try again when it is complete.")
        yield chunk
