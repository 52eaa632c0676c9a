"""Every number in a LoRA: none may be NaN or infinite, and together they must change something."""

from collections.abc import Mapping
from pathlib import Path

from adapters.admission.safetensors import Tensor
from adapters.admission.weights import Delta
from adapters.errors import AdapterError

_CHUNK_BYTES = 16 * 1024 * 1024
# The bits of a number's exponent: all set in NaN and the infinities, and in nothing else (IEEE 754; bfloat16 alike).
_EXPONENT = {"F32": 0x7F80_0000, "F16": 0x7C00, "BF16": 0x7F80}
_SIGNLESS = {"F32": 0x7FFF_FFFF, "F16": 0x7FFF, "BF16": 0x7FFF}
_INTEGER = {"F32": "<u4", "F16": "<u2", "BF16": "<u2"}


def check_values(deltas: Mapping[str, Delta], path: Path) -> None:
    """Reads every value of `deltas` from the file at `path`, a bounded piece at a time.

    Raises AdapterError where one is NaN or infinite, or where no module has both an A and a B other than zero: such an
    adapter answers as the base does.
    """
    changes = False
    for module, delta in deltas.items():
        a = _any_nonzero(delta.a, f"{module}.lora_A", path)
        b = _any_nonzero(delta.b, f"{module}.lora_B", path)
        changes = changes or (a and b)
    if not changes:
        raise AdapterError(
            f"{path} changes nothing: in every module lora_A or lora_B is all zeros.",
            hint="That is how training starts. Save it again after training.",
        )


def _any_nonzero(tensor: Tensor, name: str, path: Path) -> bool:
    import numpy as np

    exponent, signless = _EXPONENT[tensor.dtype], _SIGNLESS[tensor.dtype]
    found = False
    with path.open("rb") as file:
        file.seek(tensor.begin)
        left = tensor.end - tensor.begin
        while left:
            bits = np.frombuffer(file.read(min(left, _CHUNK_BYTES)), dtype=_INTEGER[tensor.dtype])
            left -= bits.nbytes
            if bool(((bits & exponent) == exponent).any()):
                raise AdapterError(f"{path}: the tensor {name} holds NaN or infinity.", hint="Its training diverged.")
            found = found or bool((bits & signless).any())
    return found
