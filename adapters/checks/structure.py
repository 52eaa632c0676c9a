"""The check of a LoRA's tensors: A [rank, in] and B [out, rank] for every module that it changes, and no others.

Source: https://huggingface.co/docs/peft/developer_guides/checkpoint
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from patchbay.adapters.checks.config import FOLD_HINT, LoraSettings
from patchbay.adapters.checks.embeddings import copied_module, is_passed_over
from patchbay.adapters.checks.safetensors import Tensor
from patchbay.adapters.checks.strict_json import shown
from patchbay.core.errors import AdapterError

_PREFIX = "base_model.model."
_SUFFIXES = {
    ".lora_A.weight": ("A", False),
    ".lora_B.weight": ("B", False),
    ".lora_embedding_A": ("A", True),
    ".lora_embedding_B": ("B", True),
}
_DTYPES = frozenset({"F32", "F16", "BF16"})


@dataclass(frozen=True, slots=True)
class LoraPair:
    """The two tensors of one of the base's modules. `embedding`: whether that is an embedding, whose A is looked up."""

    module: str
    a: Tensor
    b: Tensor
    embedding: bool

    @property
    def fused_experts(self) -> bool:
        """Whether it is a stack of experts' weights, whose shapes only the engine knows how to read."""
        return self.module.endswith((".experts", ".experts.base_layer"))


def pair_tensors(tensors: Iterable[Tensor], settings: LoraSettings, path: Path) -> tuple[LoraPair, ...]:
    """Pairs the `tensors` of the file `path` by module, and sorts the pairs by it.

    Copies of the base's embeddings that an engine passes over are passed over. Raises AdapterError for a tensor that
    belongs to none, one whose partner is missing, and for a dtype or a shape that
    does not go with the rank that `settings` gives.
    """
    sides: dict[tuple[str, bool], dict[str, Tensor]] = {}
    for tensor in tensors:
        if _is_saved(tensor.name, settings) or is_passed_over(tensor.name):
            continue
        module, side, embedding = _parse(tensor, path)
        _check_kind(tensor, path)
        sides.setdefault((module, embedding), {})[side] = tensor
    if not sides:
        raise AdapterError(f"{path} has no tensor of a LoRA (…lora_A.weight, …lora_B.weight).")
    pairs = tuple(_pair(*key, found, path) for key, found in sorted(sides.items()))
    for pair in pairs:
        _check_rank(pair, settings, path)
    return pairs


def lora_module(name: str) -> str | None:
    """Returns the module that the tensor called `name` is for, None where it is no part of a LoRA."""
    for suffix in _SUFFIXES:
        module = name.removeprefix(_PREFIX).removesuffix(suffix)
        if name.startswith(_PREFIX) and name.endswith(suffix) and module:
            return module
    return None


def _is_saved(name: str, settings: LoraSettings) -> bool:
    """Whether the tensor belongs to the head of a classifier, saved whole."""
    parts = name.split(".")
    return len(parts) > 1 and parts[-1] in ("weight", "bias") and parts[-2] in settings.saved


def _parse(tensor: Tensor, path: Path) -> tuple[str, str, bool]:
    name = tensor.name
    if (module := lora_module(name)) is not None:
        side, embedding = next(kind for suffix, kind in _SUFFIXES.items() if name.endswith(suffix))
        return module, side, embedding
    raise AdapterError(
        f"{path}: the tensor {shown(name)} is no part of a LoRA, expected "
        f"{_PREFIX}<module>.lora_A.weight and .lora_B.weight alone.",
        hint=_hint(name),
    )


def _hint(name: str) -> str:
    if ".lora_magnitude_vector" in name:
        return f"It belongs to DoRA, which vLLM does not serve. {FOLD_HINT}"
    if copied_module(name) is not None:
        return f"Save the adapter with save_embedding_layers=False if it was not trained. {FOLD_HINT}"
    if name.endswith((".trainable_tokens_delta", ".bias")):
        return f"vLLM serves no adapter's bias and no trained rows of tokens. {FOLD_HINT}"
    return "Save the adapter with PEFT's save_pretrained."


def _check_kind(tensor: Tensor, path: Path) -> None:
    if tensor.dtype not in _DTYPES:
        raise AdapterError(
            f"{path}: the tensor {shown(tensor.name)} is {tensor.dtype}, expected {', '.join(sorted(_DTYPES))}.",
            hint="Save the adapter in one of them.",
        )
    if len(tensor.shape) != 2 or 0 in tensor.shape:
        raise AdapterError(
            f"{path}: the tensor {shown(tensor.name)} has the shape {list(tensor.shape)}, expected a matrix."
        )


def _pair(module: str, embedding: bool, found: Mapping[str, Tensor], path: Path) -> LoraPair:
    for side, other in (("A", "B"), ("B", "A")):
        if side not in found:
            name = found[other].name
            missing = name.replace(f"_{other}", f"_{side}")
            raise AdapterError(
                f"{path}: the tensor {shown(missing)} is missing, though {shown(name)} is there.",
                hint="Save the adapter again.",
            )
    return LoraPair(module, found["A"], found["B"], embedding)


def _check_rank(pair: LoraPair, settings: LoraSettings, path: Path) -> None:
    rank = settings.rank_of(pair.module)
    if pair.fused_experts:
        return
    for tensor, axis, form in ((pair.a, 0, f"[{rank}, in]"), (pair.b, 1, f"[out, {rank}]")):
        if tensor.shape[axis] != rank:
            raise AdapterError(
                f"{path}: the tensor {shown(tensor.name)} has the shape {list(tensor.shape)}, expected {form}, "
                f"since adapter_config.json gives it the rank {rank}.",
                hint="Give the adapter_config.json that was saved with these weights.",
            )
