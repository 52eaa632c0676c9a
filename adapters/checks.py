"""What can be said of an adapter's folder before any engine has seen it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapters.errors import AdapterError

CONFIG_FILE = "adapter_config.json"
WEIGHTS_FILE = "adapter_model.safetensors"
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
_MAX_HEADER_BYTES = 100 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class AdapterSummary:
    """What an adapter's own files say of it. `modules`: the base's modules that it has weights for."""

    rank: int
    alpha: float
    modules: frozenset[str]


def check_folder(folder: Path, *, max_rank: int) -> AdapterSummary:
    """A summary of the adapter in `folder`.

    Raises AdapterError, naming the file and what was expected, where it is no LoRA in safetensors, where its rank
    is over `max_rank`, or where its weights are cut short.
    """
    if not folder.is_dir():
        raise AdapterError(f"The adapter folder {folder} does not exist.", hint="Check the path.")
    config = _read_config(folder / CONFIG_FILE)
    rank = _rank(config, folder / CONFIG_FILE, max_rank)
    tensors = _read_header(_weights_file(folder))
    return AdapterSummary(rank, _alpha(config, folder / CONFIG_FILE), _modules(tensors, folder / WEIGHTS_FILE))


def _read_config(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_bytes())
    except OSError as error:
        hint = "Give a folder that PEFT saved."
        raise AdapterError(f"{path} cannot be read: {error.strerror}.", hint=hint) from error
    except ValueError as error:
        raise AdapterError(f"{path} is not valid JSON: {error}.") from error
    if not isinstance(config, dict):
        raise AdapterError(f"{path} must hold a JSON object.")
    if config.get("peft_type") != "LORA":
        raise AdapterError(f"{path}: peft_type is {config.get('peft_type')!r}, expected 'LORA'.")
    return config


def _rank(config: Mapping[str, Any], path: Path, max_rank: int) -> int:
    pattern = config.get("rank_pattern") or {}
    ranks = [config.get("r"), *(pattern.values() if isinstance(pattern, dict) else [pattern])]
    for rank in ranks:
        if not isinstance(rank, int) or isinstance(rank, bool) or rank < 1:
            raise AdapterError(f"{path}: the rank r is {rank!r}, expected a whole number of at least 1.")
    largest = max(ranks)
    if largest > max_rank:
        raise AdapterError(
            f"{path}: the rank is {largest}, but this server takes at most {max_rank}.", hint="Raise lora.max_rank."
        )
    return int(largest)


def _alpha(config: Mapping[str, Any], path: Path) -> float:
    alpha = config.get("lora_alpha")
    if not isinstance(alpha, int | float) or isinstance(alpha, bool):
        raise AdapterError(f"{path}: lora_alpha is {alpha!r}, expected a number.")
    return float(alpha)


def _weights_file(folder: Path) -> Path:
    path = folder / WEIGHTS_FILE
    if path.is_file():
        return path
    pickles = sorted(found.name for found in folder.iterdir() if found.suffix in _PICKLES)
    if pickles:
        raise AdapterError(
            f"{folder / pickles[0]} is a pickle, which can run code when it is loaded; only safetensors are taken.",
            hint=f"Save it again as {WEIGHTS_FILE}.",
        )
    raise AdapterError(f"{path} does not exist.", hint="Give a folder that PEFT saved.")


def _read_header(path: Path) -> dict[str, Any]:
    """The tensors of a safetensors file, by name. Source: https://github.com/huggingface/safetensors#format"""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > min(size - 8, _MAX_HEADER_BYTES):
            raise AdapterError(f"{path} is no safetensors file, or is cut short: its header does not fit into it.")
        raw = file.read(length)
    try:
        header = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise AdapterError(f"{path} is no safetensors file: its header is not JSON.") from error
    if not isinstance(header, dict):
        raise AdapterError(f"{path} is no safetensors file: its header is no JSON object.")
    header.pop("__metadata__", None)
    _check_extent(header, size - 8 - length, path)
    return header


def _check_extent(tensors: Mapping[str, Any], data_bytes: int, path: Path) -> None:
    for name, entry in tensors.items():
        offsets = entry.get("data_offsets") if isinstance(entry, dict) else None
        if not (isinstance(offsets, list) and len(offsets) == 2 and all(isinstance(at, int) for at in offsets)):
            raise AdapterError(f"{path}: the tensor {name} has no data_offsets.")
        if not 0 <= offsets[0] <= offsets[1] <= data_bytes:
            raise AdapterError(f"{path} is cut short: the tensor {name} ends at {offsets[1]} of {data_bytes} bytes.")


def _modules(tensors: Mapping[str, Any], path: Path) -> frozenset[str]:
    modules = {name.partition(".lora_")[0].removeprefix("base_model.model.") for name in tensors if ".lora_" in name}
    if not modules:
        raise AdapterError(f"{path} has no tensor of a LoRA (…lora_A.weight, …lora_B.weight).")
    return frozenset(modules)
