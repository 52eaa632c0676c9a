"""What the base model has: its modules and their shapes, read from its files' headers."""

import difflib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from adapters.admission.safetensors import Tensor, read_tensors
from adapters.admission.weights import Delta
from adapters.errors import AdapterError

_SHARED_FILES = ("tokenizer.json", "chat_template.jinja")
_INDEX = "model.safetensors.index.json"
_PACKED_SHAPE = ".weight_shape"
_WEIGHT = ".weight"


@dataclass(frozen=True, slots=True)
class BaseLayout:
    """A base model in `folder`. `modules`: each with the widths of its output and its input."""

    folder: Path
    modules: Mapping[str, tuple[int, int]]

    @classmethod
    def of_folder(cls, folder: Path) -> "BaseLayout | None":
        """The layout of the model in `folder`; None where it says too little of it: no safetensors, or experts, whose
        weights are fused under other names than their adapters'. Raises AdapterError where a file is broken."""
        files = _weight_files(folder)
        modules = dict(shape for path in files for shape in _modules(path))
        if not modules or any(".experts" in module for module in modules):
            return None
        return cls(folder, modules)

    def check(self, deltas: Mapping[str, Delta], targets: tuple[str, ...], path: Path) -> None:
        """Raises AdapterError where one of `deltas`, from the file at `path`, or a target has no place in this base."""
        for module, delta in deltas.items():
            shape = self.modules.get(module)
            if shape is None:
                raise AdapterError(f"{path}: the base model has no module {module}{self._nearest(module)}.")
            outputs, inputs = reversed(shape) if delta.embedding else shape
            if (delta.outputs, delta.inputs) != (outputs, inputs):
                raise AdapterError(
                    f"{path}: {module} takes {delta.inputs} and gives {delta.outputs} numbers in the adapter, "
                    f"but {inputs} and {outputs} in the base model.",
                    hint="Check that the adapter was trained for this base model.",
                )
        for target in targets:
            if not any(module == target or module.endswith(f".{target}") for module in self.modules):
                raise AdapterError(
                    f"{path.parent}: the base model has no target module {target}{self._nearest(target)}."
                )

    def check_shared(self, folder: Path) -> None:
        """Raises AdapterError where the adapter in `folder` brings another tokenizer or chat template than the base's:
        the engine uses the base's."""
        for name in _SHARED_FILES:
            ours, theirs = folder / name, self.folder / name
            if ours.is_file() and theirs.is_file() and ours.read_bytes() != theirs.read_bytes():
                raise AdapterError(
                    f"{ours} differs from the base model's.",
                    hint="The base's is what serves: train with it, and leave the file out.",
                )

    def _nearest(self, module: str) -> str:
        near = difflib.get_close_matches(module, self.modules, n=1, cutoff=0.4)
        return f" (nearest: {near[0]})" if near else ""


def _weight_files(folder: Path) -> list[Path]:
    index = folder / _INDEX
    if not index.is_file():
        return [path for path in (folder / "model.safetensors",) if path.is_file()]
    try:
        names = set(json.loads(index.read_bytes())["weight_map"].values())
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise AdapterError(f"{index} is no index of a model's files.") from error
    return [folder / name for name in sorted(names) if (folder / name).is_file()]


def _modules(path: Path) -> Iterator[tuple[str, tuple[int, int]]]:
    for name, tensor in read_tensors(path).items():
        if name.endswith(_PACKED_SHAPE):
            yield name.removesuffix(_PACKED_SHAPE), _packed_shape(path, tensor)
        elif name.endswith(_WEIGHT) and len(tensor.shape) == 2:
            yield name.removesuffix(_WEIGHT), (tensor.shape[0], tensor.shape[1])


def _packed_shape(path: Path, tensor: Tensor) -> tuple[int, int]:
    """Packed weights have their true shape beside them, as two whole numbers."""
    with path.open("rb") as file:
        file.seek(tensor.begin)
        raw = file.read(tensor.end - tensor.begin)
    half = len(raw) // 2
    return int.from_bytes(raw[:half], "little"), int.from_bytes(raw[half:], "little")
