"""The tensors of a LoRA: two to a module, of the rank that the configuration says."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from adapters.admission.config import LoraSettings
from adapters.admission.safetensors import Tensor
from adapters.errors import AdapterError

_NAME = re.compile(r"base_model\.model\.(?P<module>.+)\.lora_(?P<embedding>embedding_)?(?P<half>[AB])(?:\.weight)?")
_DTYPES = ("F32", "F16", "BF16")


@dataclass(frozen=True, slots=True)
class Delta:
    """What is added to one module: B times A. `inputs` and `outputs`: what the module must be like for that.

    `embedding`: whether the module is a table, whose inputs are its rows: its weight lies the other way round.
    """

    a: Tensor
    b: Tensor
    embedding: bool = False

    @property
    def inputs(self) -> int:
        """The width of what goes in."""
        return self.a.shape[1]

    @property
    def outputs(self) -> int:
        """The width of what comes out."""
        return self.b.shape[0]


def deltas(tensors: Mapping[str, Tensor], settings: LoraSettings, path: Path) -> dict[str, Delta]:
    """The deltas in the file at `path`, by module. Raises AdapterError that names the tensor and what was expected."""
    halves: dict[str, dict[str, Tensor]] = {}
    embeddings: set[str] = set()
    for name, tensor in tensors.items():
        match = _NAME.fullmatch(name)
        if match is None:
            raise AdapterError(f"{path}: {name} is no tensor of a LoRA (base_model.model.….lora_A.weight or lora_B).")
        _check_tensor(name, tensor, path)
        halves.setdefault(match["module"], {})[match["half"]] = tensor
        if match["embedding"]:
            embeddings.add(match["module"])
    if not halves:
        raise AdapterError(f"{path} has no tensor at all.")
    found = {module: _delta(module, pair, settings, path) for module, pair in halves.items()}
    return {module: replace(delta, embedding=module in embeddings) for module, delta in found.items()}


def _check_tensor(name: str, tensor: Tensor, path: Path) -> None:
    if tensor.dtype not in _DTYPES:
        raise AdapterError(f"{path}: the tensor {name} is {tensor.dtype}, expected one of {', '.join(_DTYPES)}.")
    if len(tensor.shape) != 2 or 0 in tensor.shape:
        raise AdapterError(f"{path}: the tensor {name} has the shape {list(tensor.shape)}, expected two dimensions.")


def _delta(module: str, pair: Mapping[str, Tensor], settings: LoraSettings, path: Path) -> Delta:
    if missing := {"A", "B"} - set(pair):
        raise AdapterError(f"{path}: the module {module} has no lora_{min(missing)}.")
    rank, a, b = settings.rank_of(module), pair["A"], pair["B"]
    if (a.shape[0], b.shape[1]) != (rank, rank):
        raise AdapterError(
            f"{path}: the rank of {module} is {a.shape[0]} in lora_A and {b.shape[1]} in lora_B, expected {rank}."
        )
    return Delta(a, b)
