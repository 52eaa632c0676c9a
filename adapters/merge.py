"""The merge of several adapters into one, by the mathematics of PEFT's weighted merge, without loading a base model.

Source: `LoraModel.add_weighted_adapter` of PEFT, whose own functions are called here; TIES: Yadav et al., NeurIPS 2023,
arXiv 2306.01708; DARE: Yu et al., ICML 2024, arXiv 2311.03099.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

from patchbay.adapters.checks.config import LoraSettings, read_config, read_document
from patchbay.adapters.checks.folder import DEFAULT_LIMITS
from patchbay.adapters.config import MAX_RANK
from patchbay.adapters.contents import CONFIG_FILE, WEIGHTS_FILE
from patchbay.adapters.weights import LoraModule, read_modules
from patchbay.core.distribution import install_command
from patchbay.core.errors import AdapterError, ConfigError

Method = Literal["linear", "ties", "dare_linear", "dare_ties", "cat"]
METHODS: tuple[Method, ...] = get_args(Method)
# A module's A and B, and whether it is an embedding.
_Merged = tuple[Any, Any, bool]


@dataclass(frozen=True, slots=True)
class Mixture:
    """The parameters of a merge.

    `weights`: one for each adapter; `density`: the share of the values that TIES and DARE keep, over 0 and at most 1;
    `seed`: of DARE's choice.
    """

    weights: tuple[float, ...]
    method: Method = "linear"
    density: float = 0.5
    seed: int = 0


def merge(folders: Sequence[Path], mixture: Mixture, out: Path) -> None:
    """Writes the merge of the adapters in `folders` to the new folder `out`.

    `cat` is exact, and its rank is the sum of theirs. The other methods work on A and B separately, and need one rank
    for all adapters of a module. Raises AdapterError where the adapters cannot be merged so, ConfigError where PEFT is
    not installed.
    """
    documents = [read_document(folder, DEFAULT_LIMITS) for folder in folders]
    settings = [read_config(folder, max_rank=MAX_RANK, limits=DEFAULT_LIMITS) for folder in folders]
    _check(folders, mixture)
    _check_kinds(folders, settings, documents)
    torch = _torch()
    torch.manual_seed(mixture.seed)
    adapters = [{module.name: module for module in read_modules(folder)} for folder in folders]
    merged = {}
    for name in sorted(set().union(*adapters)):
        sources = [
            (modules[name], weight)
            for modules, weight in zip(adapters, mixture.weights, strict=True)
            if name in modules
        ]
        _check_ranks(sources, mixture)
        merged[name] = (*_merged_module(sources, mixture), sources[0][0].embedding)
    _write(out, merged, _merged_config(merged, documents[0]))


def _check(folders: Sequence[Path], mixture: Mixture) -> None:
    if len(folders) < 2 or len(mixture.weights) != len(folders):
        raise AdapterError(
            f"There are {len(folders)} adapters and {len(mixture.weights)} weights.",
            hint="Name at least two adapters, and one weight for each.",
        )
    if not all(math.isfinite(weight) for weight in mixture.weights) or not 0 < mixture.density <= 1:
        raise AdapterError("The weights must be finite numbers, and the density over 0 and at most 1.")


def _check_kinds(
    folders: Sequence[Path], settings: Sequence[LoraSettings], documents: Sequence[Mapping[str, Any]]
) -> None:
    for folder, config, document in zip(folders, settings, documents, strict=True):
        if config.saved or document.get("target_parameters"):
            raise AdapterError(f"{folder / CONFIG_FILE}: modules_to_save and target_parameters cannot be merged.")
        if config.transposed != settings[0].transposed:
            raise AdapterError(f"{folder / CONFIG_FILE}: fan_in_fan_out is not as {folders[0].name} has it.")


def _check_ranks(sources: Sequence[tuple[LoraModule, float]], mixture: Mixture) -> None:
    ranks = sorted({module.rank for module, _ in sources})
    if mixture.method != "cat" and len(ranks) > 1:
        raise AdapterError(
            f"The adapters have the ranks {', '.join(map(str, ranks))} for {sources[0][0].name}, and "
            f"'{mixture.method}' needs one for all.",
            hint="Use --method cat.",
        )


def _merged_module(sources: Sequence[tuple[LoraModule, float]], mixture: Mixture) -> tuple[Any, Any]:
    """Merges one module's matrices, operation by operation as PEFT does, so that the numbers are the same."""
    torch = _torch()
    all_a, all_b = ([torch.from_numpy(getattr(module, side).copy()) for module, _ in sources] for side in "ab")
    if mixture.method == "cat":
        scaled = [a * weight * module.scale for a, (module, weight) in zip(all_a, sources, strict=True)]
        return torch.cat(scaled), torch.cat(all_b, dim=1)
    scales = [weight * module.scale for module, weight in sources]
    # The sign goes to one side alone, or it would cancel out.
    for_a = torch.tensor([math.copysign(math.sqrt(abs(factor)), factor) for factor in scales])
    for_b = torch.tensor([math.sqrt(abs(factor)) for factor in scales])
    combine = _merge_function(mixture)
    return combine(all_a, for_a), combine(all_b, for_b)


def _merge_function(mixture: Mixture) -> Callable[[list[Any], Any], Any]:
    from peft.utils import merge_utils

    if mixture.method == "linear":
        return partial(merge_utils.task_arithmetic)
    function = getattr(merge_utils, mixture.method)
    return partial(function, density=mixture.density)


def _merged_config(merged: Mapping[str, _Merged], first: Mapping[str, Any]) -> dict[str, Any]:
    """Makes the adapter_config.json of a merge: of the first adapter's, only which model and task it is for.

    The scales are in the weights now, so alpha is the rank. With `cat`, a module that not all adapters have has a lower
    rank than the others, which a pattern states. Modules are named whole, so that PEFT finds just those.
    """
    ranks = {name: int(a.shape[0]) for name, (a, _, _) in merged.items()}
    rank = max(ranks.values())
    lower_ranks = {name: value for name, value in ranks.items() if value != rank}
    kept = {key: first.get(key) for key in ("base_model_name_or_path", "task_type", "fan_in_fan_out")}
    return kept | {
        "peft_type": "LORA",
        "r": rank,
        "lora_alpha": rank,
        "rank_pattern": lower_ranks,
        "alpha_pattern": dict(lower_ranks),
        "target_modules": sorted(merged),
        "bias": "none",
        "fan_in_fan_out": bool(kept["fan_in_fan_out"]),
        "layers_to_transform": None,
        "layers_pattern": None,
        "exclude_modules": None,
        "inference_mode": True,
        "lora_dropout": 0.0,
    }


def _write(out: Path, merged: Mapping[str, _Merged], config: Mapping[str, Any]) -> None:
    """Writes a PEFT folder."""
    from safetensors.torch import save_file

    tensors = {}
    for name, (a, b, embedding) in merged.items():
        for side, tensor in (("A", a), ("B", b)):
            suffix = f"lora_embedding_{side}" if embedding else f"lora_{side}.weight"
            tensors[f"base_model.model.{name}.{suffix}"] = tensor.contiguous()
    out.mkdir(parents=True)
    (out / CONFIG_FILE).write_text(json.dumps(config, indent=2, sort_keys=True), encoding="utf-8")
    save_file(tensors, out / WEIGHTS_FILE, metadata={"format": "pt"})


def _torch() -> Any:
    try:
        import peft  # noqa: F401 - so that both are missed at once
        import torch
    except ImportError as error:
        raise ConfigError(
            "Merging needs PyTorch and PEFT, which are not installed here.",
            hint=f"Install them: {install_command('train')}.",
        ) from error
    return torch
