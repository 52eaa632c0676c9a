"""The merge of several adapters into one, by the mathematics of PEFT's weighted merge, without loading a base model.

Source: `LoraModel.add_weighted_adapter` of PEFT, whose own functions are called here; TIES: Yadav et al., NeurIPS 2023,
arXiv 2306.01708; DARE: Yu et al., ICML 2024, arXiv 2311.03099.
"""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

from patchbay.adapters.checks.config import LoraSettings, read_config
from patchbay.adapters.checks.folder import DEFAULT_LIMITS
from patchbay.adapters.config import MAX_RANK
from patchbay.adapters.contents import CONFIG_FILE, WEIGHTS_FILE
from patchbay.adapters.weights import LoraModule, read_modules
from patchbay.core.errors import AdapterError, ConfigError

Method = Literal["linear", "ties", "dare_linear", "dare_ties", "cat"]
METHODS: tuple[Method, ...] = get_args(Method)


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
    for all. Raises AdapterError where the adapters cannot be merged so, ConfigError where PEFT is not installed.
    """
    settings = [read_config(folder, max_rank=MAX_RANK, limits=DEFAULT_LIMITS) for folder in folders]
    _check(folders, settings, mixture)
    torch = _torch()
    torch.manual_seed(mixture.seed)
    adapters = [{module.name: module for module in read_modules(folder)} for folder in folders]
    tensors: dict[str, Any] = {}
    for name in sorted(set().union(*adapters)):
        sources = [
            (modules[name], weight)
            for modules, weight in zip(adapters, mixture.weights, strict=True)
            if name in modules
        ]
        a, b = _merged_module(sources, mixture)
        tensors[f"base_model.model.{name}.lora_A.weight"] = a.contiguous()
        tensors[f"base_model.model.{name}.lora_B.weight"] = b.contiguous()
    _write(out, folders[0], tensors)


def _check(folders: Sequence[Path], settings: Sequence[LoraSettings], mixture: Mixture) -> None:
    if len(folders) < 2 or len(mixture.weights) != len(folders):
        raise AdapterError(
            f"There are {len(folders)} adapters and {len(mixture.weights)} weights.",
            hint="Name at least two adapters, and one weight for each.",
        )
    if not all(math.isfinite(weight) for weight in mixture.weights) or not 0 < mixture.density <= 1:
        raise AdapterError("The weights must be finite numbers, and the density over 0 and at most 1.")
    for folder, config in zip(folders, settings, strict=True):
        if config.saved or config.transposed or config.rank_pattern:
            raise AdapterError(
                f"{folder / CONFIG_FILE}: modules_to_save, fan_in_fan_out and rank_pattern cannot be merged."
            )
    ranks = sorted({config.rank for config in settings})
    if mixture.method != "cat" and len(ranks) > 1:
        raise AdapterError(
            f"The adapters have the ranks {', '.join(map(str, ranks))}, and '{mixture.method}' needs one for all.",
            hint="Use --method cat.",
        )


def _merged_module(sources: Sequence[tuple[LoraModule, float]], mixture: Mixture) -> tuple[Any, Any]:
    torch = _torch()
    all_a, all_b = ([torch.from_numpy(getattr(module, side).copy()) for module, _ in sources] for side in "ab")
    scales = [weight * module.scale for module, weight in sources]
    if mixture.method == "cat":
        return torch.cat([a * factor for a, factor in zip(all_a, scales, strict=True)]), torch.cat(all_b, dim=1)
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


def _write(out: Path, template: Path, tensors: dict[str, Any]) -> None:
    """Writes a PEFT folder. The scales are in the weights now, so alpha is the rank.

    With `cat`, a module that not all adapters have has a lower rank than the others, which a pattern states.
    """
    from safetensors.torch import save_file

    prefix, suffix = "base_model.model.", ".lora_A.weight"
    a_matrices = {name: tensor for name, tensor in tensors.items() if name.endswith(suffix)}
    ranks = {name.removeprefix(prefix).removesuffix(suffix): tensor.shape[0] for name, tensor in a_matrices.items()}
    rank = max(ranks.values())
    lower_ranks = {name: value for name, value in ranks.items() if value != rank}
    config = json.loads((template / CONFIG_FILE).read_text(encoding="utf-8"))
    config |= {
        "r": rank,
        "lora_alpha": rank,
        "use_rslora": False,
        "rank_pattern": lower_ranks,
        "alpha_pattern": dict(lower_ranks),
        "target_modules": sorted({name.rpartition(".")[2] for name in ranks}),
    }
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
            hint="Install the extra: pip install 'patchbay[train]'.",
        ) from error
    return torch
