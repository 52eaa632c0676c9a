"""The way into the gate: one folder, every check, and a summary for what passes."""

from dataclasses import dataclass
from pathlib import Path

from adapters.admission.base import BaseLayout
from adapters.admission.config import read_config
from adapters.admission.safetensors import read_tensors
from adapters.admission.values import check_values
from adapters.admission.weights import deltas
from adapters.digest import folder_files
from adapters.errors import AdapterError

CONFIG_FILE = "adapter_config.json"
WEIGHTS_FILE = "adapter_model.safetensors"
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")


@dataclass(frozen=True, slots=True)
class Limits:
    """How large an adapter may be: `bytes` of all its files together, and how many `files`."""

    bytes: int = 4 * 1024**3
    files: int = 200


@dataclass(frozen=True, slots=True)
class AdapterSummary:
    """What an adapter's own files say of it. `modules`: the base's modules that it has weights for."""

    rank: int
    alpha: float
    modules: frozenset[str]


def check_folder(
    folder: Path, *, max_rank: int, base: BaseLayout | None = None, limits: Limits | None = None
) -> AdapterSummary:
    """A summary of the adapter in `folder`. Blocks on the disk: every value is read.

    Raises AdapterError, naming the file, the tensor and what was expected, where it is no LoRA in safetensors that is
    whole, sound, within `limits` and `max_rank`, changes something, and fits `base`, as far as that is known.
    """
    _check_files(folder, limits or Limits())
    settings = read_config(folder / CONFIG_FILE, max_rank=max_rank)
    path = folder / WEIGHTS_FILE
    if not path.is_file():
        raise AdapterError(f"{path} does not exist.", hint="Give a folder that PEFT saved, in one file.")
    found = deltas(read_tensors(path), settings, path)
    if base is not None:
        base.check(found, settings.targets, path)
        base.check_shared(folder)
    check_values(found, path)
    return AdapterSummary(max(settings.rank_of(module) for module in found), settings.alpha, frozenset(found))


def _check_files(folder: Path, limits: Limits) -> None:
    if not folder.is_dir():
        raise AdapterError(f"The adapter folder {folder} does not exist.", hint="Check the path.")
    names = folder_files(folder)
    for name in names:
        if name.suffix in _PICKLES:
            raise AdapterError(
                f"{folder / name} is a pickle, which can run code when it is loaded; only safetensors are taken.",
                hint=f"Save the weights as {WEIGHTS_FILE}, and leave it out.",
            )
    size = sum((folder / name).stat().st_size for name in names)
    if size > limits.bytes or len(names) > limits.files:
        raise AdapterError(
            f"{folder} has {len(names)} files of {size} bytes, but at most {limits.files} of {limits.bytes} are taken."
        )
