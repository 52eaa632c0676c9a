"""The reader of all that training changed, whether an engine serves it beside others or not: LoRA, DoRA, biases, whole
modules, single rows of embeddings."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from patchbay.adapters.checks.check import because
from patchbay.adapters.checks.config import (
    PEFT_HINT,
    LoraSettings,
    check_is_lora,
    check_merges,
    read_document,
    settings_of,
)
from patchbay.adapters.checks.folder import FolderLimits
from patchbay.adapters.checks.safetensors import Tensor, read_header
from patchbay.adapters.checks.strict_json import shown
from patchbay.adapters.checks.structure import LoraPair, lora_module, pair_tensors
from patchbay.adapters.contents import CONFIG_FILE, WEIGHTS_FILE
from patchbay.core.errors import AdapterError

_PREFIX = "base_model.model."
_MAGNITUDES = (".lora_magnitude_vector.weight", ".lora_magnitude_vector")
_SHIFT = ".lora_B.bias"
_ROWS = ".token_adapter.trainable_tokens_delta"
# What PEFT puts around a module that it trains.
_WRAPPERS = (".base_layer.", ".original_module.", ".modules_to_save.")


@dataclass(frozen=True, slots=True)
class LowRank:
    """A LoRA of one module. `scale`: of its product; `magnitude`: DoRA's, one for each output."""

    pair: LoraPair
    scale: float
    magnitude: Tensor | None = None


@dataclass(frozen=True, slots=True)
class TrainedRows:
    """Single rows of an embedding, for the tokens `ids`."""

    ids: tuple[int, ...]
    values: Tensor


@dataclass(frozen=True, slots=True)
class Trained:
    """All that an adapter changes of its base.

    `low_rank`, `rows`: by module; `whole`: by parameter (`lm_head.weight`), each in place of the base's; `shifts`: what
    is added to a module's bias, and its scale; `transposed`: whether the base stores weights as [in, out]; `keep_tied`:
    whether a head that shares the embedding's weights goes on sharing them; `file`: where the tensors are.
    """

    file: Path
    low_rank: Mapping[str, LowRank]
    whole: Mapping[str, Tensor]
    shifts: Mapping[str, tuple[Tensor, float]]
    rows: Mapping[str, TrainedRows]
    transposed: bool
    keep_tied: bool


def read_trained(folder: Path, limits: FolderLimits) -> Trained:
    """Reads what the adapter in `folder` changes: of its weights the header alone.

    Raises AdapterError, which says what else to do, where it is nothing that the weights of a base can hold.
    """
    path, file = folder / CONFIG_FILE, folder / WEIGHTS_FILE
    with because("config"):
        document = read_document(folder, limits)
        check_is_lora(document, path)
        check_merges(document, path)
        if document.get("target_parameters"):
            raise AdapterError(f"{path}: target_parameters cannot be folded.", hint=PEFT_HINT)
        settings = settings_of(document, path, saved=frozenset())
    with because("header"):
        tensors = read_header(file, max_bytes=limits.header_bytes)
    with because("structure"):
        return _sorted(tensors, settings, document, file)


def _sorted(tensors: Mapping[str, Tensor], settings: LoraSettings, document: Mapping[str, Any], file: Path) -> Trained:
    parts = [tensor for name, tensor in tensors.items() if lora_module(name) is not None]
    pairs = pair_tensors(parts, settings, file) if parts else ()
    magnitudes = _by_module(tensors, _MAGNITUDES)
    _check_magnitudes(pairs, magnitudes, bool(document.get("use_dora")), file)
    shifts = _by_module(tensors, (_SHIFT,))
    tokens = _by_module(tensors, (_ROWS,))
    rows = {module: TrainedRows(_ids(document, module, file), tensor) for module, tensor in tokens.items()}
    known = {tensor.name for tensor in (*parts, *magnitudes.values(), *shifts.values(), *tokens.values())}
    whole = {_parameter(name, file): tensor for name, tensor in tensors.items() if name not in known}
    return Trained(
        file=file,
        low_rank={
            pair.module: LowRank(pair, settings.scale_of(pair.module), magnitudes.get(pair.module)) for pair in pairs
        },
        whole=whole,
        shifts={module: (tensor, settings.scale_of(module)) for module, tensor in shifts.items()},
        rows=rows,
        transposed=settings.transposed,
        keep_tied=bool(document.get("ensure_weight_tying")),
    )


def _by_module(tensors: Mapping[str, Tensor], suffixes: tuple[str, ...]) -> dict[str, Tensor]:
    """Finds the tensors whose names end with one of the `suffixes`, the longest of them first, by module."""
    found = {}
    for name, tensor in tensors.items():
        for suffix in suffixes:
            if name.endswith(suffix):
                found[name.removeprefix(_PREFIX).removesuffix(suffix)] = tensor
                break
    return found


def _check_magnitudes(pairs: tuple[LoraPair, ...], magnitudes: Mapping[str, Tensor], dora: bool, file: Path) -> None:
    modules = {pair.module: pair for pair in pairs}
    lacking = sorted(modules.keys() - magnitudes if dora else magnitudes.keys())
    lone = sorted(magnitudes.keys() - modules)
    if lacking or lone:
        what = (
            f"has no lora_magnitude_vector for {shown((lacking or lone)[0])}, though adapter_config.json has use_dora"
            if dora and lacking
            else f"has a lora_magnitude_vector for {shown((lone or lacking)[0])}, which is no DoRA"
        )
        raise AdapterError(f"{file} {what}.", hint="Give the adapter_config.json that was saved with these weights.")
    for module, tensor in magnitudes.items():
        if tensor.shape != (modules[module].b.shape[0],):
            raise AdapterError(f"{file}: the tensor {shown(tensor.name)} has the shape {list(tensor.shape)}.")


def _ids(document: Mapping[str, Any], module: str, file: Path) -> tuple[int, ...]:
    """Returns the tokens whose rows of `module` were trained: of all embeddings, or by their names' ends."""
    given = document.get("trainable_token_indices")
    if isinstance(given, dict):
        given = next((ids for name, ids in given.items() if f".{module}".endswith(f".{name}")), None)
    if not isinstance(given, list) or not all(type(one) is int and one >= 0 for one in given):
        raise AdapterError(
            f"{file.with_name(CONFIG_FILE)}: trainable_token_indices does not say which rows of {shown(module)}.",
            hint="Give the adapter_config.json that was saved with these weights.",
        )
    return tuple(given)


def _parameter(name: str, file: Path) -> str:
    """Returns the base's own name of a parameter that was saved whole."""
    if not name.startswith(_PREFIX):
        raise AdapterError(
            f"{file}: the tensor {shown(name)} is none that PEFT saves, whose names begin with {_PREFIX}.",
            hint="Save the adapter with PEFT's save_pretrained.",
        )
    plain = name.removeprefix(_PREFIX)
    for wrapper in _WRAPPERS:
        plain = plain.replace(wrapper, ".")
    return plain
