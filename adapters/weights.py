"""The reader of a LoRA's matrices: one module at a time, with nothing but numpy."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from patchbay.adapters.checks.config import read_config
from patchbay.adapters.checks.folder import DEFAULT_LIMITS
from patchbay.adapters.checks.safetensors import Tensor, read_header
from patchbay.adapters.checks.structure import pair_tensors
from patchbay.adapters.config import MAX_RANK
from patchbay.adapters.contents import WEIGHTS_FILE
from patchbay.core.errors import AdapterError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Matrix = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class LoraModule:
    """One module's LoRA: its delta is `scale * b @ a`. `a`: [rank, inputs]; `b`: [outputs, rank]; float32.

    `embedding`: whether the module is an embedding, whose tensors have other names.
    """

    name: str
    a: "Matrix"
    b: "Matrix"
    scale: float
    embedding: bool = False

    @property
    def rank(self) -> int:
        """The rank of its matrices."""
        return int(self.a.shape[0])


def read_modules(folder: Path) -> Iterator[LoraModule]:
    """Reads every module's LoRA of the adapter in `folder`, by name.

    Raises AdapterError where it is no sound adapter.
    """
    settings = read_config(folder, max_rank=MAX_RANK, limits=DEFAULT_LIMITS)
    path = folder / WEIGHTS_FILE
    for pair in pair_tensors(read_header(path).values(), settings, path):
        a, b = _matrix(path, pair.a), _matrix(path, pair.b)
        yield LoraModule(pair.module, a, b, settings.scale_of(pair.module), pair.embedding)


def _matrix(path: Path, tensor: Tensor) -> "Matrix":
    import numpy as np

    with path.open("rb") as file:
        file.seek(tensor.start)
        raw = file.read(tensor.end - tensor.start)
    if tensor.dtype == "BF16":
        # bfloat16 is the upper half of a float32.
        bits = np.frombuffer(raw, dtype="<u2").astype(np.uint32) << 16
        return bits.view(np.float32).reshape(tensor.shape)
    formats = {"F32": "<f4", "F16": "<f2"}
    if tensor.dtype not in formats:
        raise AdapterError(f"{path}: {tensor.name} is {tensor.dtype}, expected {', '.join(formats)} or BF16.")
    return np.frombuffer(raw, dtype=formats[tensor.dtype]).astype(np.float32).reshape(tensor.shape)
