"""The checkpoint of a base model, by parameter: where each one's bytes are, and what it is once it is unpacked.

Packed int4 of compressed-tensors is unpacked to the numbers that an engine computes with.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from patchbay.adapters.checks.base import BaseLayout, weight_files
from patchbay.adapters.checks.safetensors import Tensor, read_header
from patchbay.adapters.checks.wording import read_object
from patchbay.core.distribution import install_command
from patchbay.core.errors import ConfigError

if TYPE_CHECKING:
    import torch

CONFIG = "config.json"
_PACKED = ".weight_packed"
_PACKED_PARTS = ("weight_packed", "weight_scale", "weight_shape", "weight_zero_point", "weight_g_idx")
_FORMAT = "pack-quantized"
_CONFIG_BYTES = 4 * 1024**2
_HINT = "Name the model that it was made from, unquantized: --onto FOLDER."


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a base. `parts`: its tensor under the name "weight", or those that it is packed in."""

    name: str
    file: Path
    parts: Mapping[str, Tensor]

    @property
    def packed(self) -> bool:
        """Whether it is packed."""
        return "weight_packed" in self.parts

    @property
    def plain(self) -> Tensor:
        """The tensor of one that is not packed."""
        return self.parts["weight"]


@dataclass(frozen=True, slots=True)
class BaseCheckpoint:
    """A base model's folder. `config`: its config.json; `layout`: by which an adapter's modules are found;
    `parameters`: all of them by name, in the order of the files."""

    folder: Path
    config: Mapping[str, Any]
    layout: BaseLayout
    parameters: Mapping[str, Parameter]

    @classmethod
    def read(cls, folder: Path) -> "BaseCheckpoint":
        """Reads the headers in `folder`. Raises ConfigError where no base is there that an adapter can be folded
        into, AdapterError where a file of it cannot be read."""
        layout = BaseLayout.of_folder(folder)
        if layout is None:
            raise ConfigError(
                f"There is no base model in safetensors in {folder} that can be read.",
                hint="Name its folder: --base FOLDER, or --onto FOLDER for the unquantized one.",
            )
        config = read_object(folder / CONFIG, _CONFIG_BYTES)
        _check_quantization(config, folder)
        parameters = {one.name: one for file in weight_files(folder) for one in _parameters(file)}
        return cls(folder, config, layout, parameters)

    @property
    def quantization(self) -> Mapping[str, Any] | None:
        """The section of the configuration that says how it is packed, None where it is not."""
        section: Mapping[str, Any] | None = self.config.get("quantization_config")
        return section


def _check_quantization(config: Mapping[str, Any], folder: Path) -> None:
    section = config.get("quantization_config")
    if section is None:
        return
    method = section.get("quant_method") if isinstance(section, dict) else section
    if method == "compressed-tensors" and section.get("format") == _FORMAT:
        return
    raise ConfigError(f"The base model in {folder} is quantized ({method}), and cannot take a fold.", hint=_HINT)


def _parameters(file: Path) -> Iterator[Parameter]:
    tensors = read_header(file)
    for name, tensor in tensors.items():
        if name.endswith(_PACKED):
            stem = name.removesuffix("weight_packed")
            parts = {part: tensors[stem + part] for part in _PACKED_PARTS if stem + part in tensors}
            yield Parameter(f"{stem}weight", file, parts)
        elif not _belongs_to_packed(name, tensors):
            yield Parameter(name, file, {"weight": tensor})


def _belongs_to_packed(name: str, tensors: Mapping[str, Tensor]) -> bool:
    stem, _, part = name.rpartition(".")
    return part in _PACKED_PARTS and f"{stem}{_PACKED}" in tensors


def read_tensor(file: Path, tensor: Tensor) -> "torch.Tensor":
    """Reads one `tensor` of the safetensors file `file`. Raises ConfigError without PyTorch."""
    torch_module = load_torch()
    raw = bytearray(tensor.end - tensor.start)
    with file.open("rb") as reader:
        reader.seek(tensor.start)
        if reader.readinto(raw) != len(raw):
            raise ConfigError(f"{file} changed while it was read.", hint="Try again when it is complete.")
    dtype = dtype_of(tensor)
    flat: torch.Tensor = torch_module.frombuffer(raw, dtype=dtype) if raw else torch_module.empty(0, dtype=dtype)
    return flat.reshape(tensor.shape)


def dtype_of(tensor: Tensor) -> Any:
    """Returns PyTorch's dtype of a `tensor` of the base. Raises ConfigError where none can take a fold."""
    torch = load_torch()
    known = {
        "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "BOOL": torch.bool,
        "U8": torch.uint8, "I8": torch.int8, "I16": torch.int16, "I32": torch.int32, "I64": torch.int64,
    }  # fmt: skip
    if tensor.dtype not in known:
        raise ConfigError(f"The base model's {tensor.name} is {tensor.dtype}, and cannot take a fold.", hint=_HINT)
    return known[tensor.dtype]


def unpacked(parameter: Parameter, quantization: Mapping[str, Any]) -> "torch.Tensor":
    """Unpacks a packed `parameter` to float32. Raises ConfigError."""
    try:
        from compressed_tensors.compressors.pack_quantized.base import PackedQuantizationCompressor
        from compressed_tensors.quantization import QuantizationScheme
    except ImportError as error:
        raise ConfigError(
            "Unpacking an int4 base needs the package 'compressed-tensors', which is not installed here.",
            hint=f"Install it: {install_command('train')}. Or: {_HINT}",
        ) from error
    groups = [group for group in quantization["config_groups"].values() if (group.get("weights") or {}).get("num_bits")]
    if len(groups) != 1:
        raise ConfigError("The base model is quantized in several ways, and cannot take a fold.", hint=_HINT)
    layer = {part: read_tensor(parameter.file, tensor) for part, tensor in parameter.parts.items()}
    layer["weight_scale"] = layer["weight_scale"].float()
    scheme = QuantizationScheme.model_validate(groups[0])
    weight: torch.Tensor = PackedQuantizationCompressor.decompress(layer, scheme)["weight"]
    return weight


def load_torch() -> Any:
    """Imports PyTorch. Raises ConfigError, which says what to install, where it is missing."""
    try:
        import torch
    except ImportError as error:
        raise ConfigError(
            "Folding needs PyTorch, which is not installed here.", hint=f"Install it: {install_command('train')}."
        ) from error
    return torch
