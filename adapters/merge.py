"""Makes one adapter of several, by the mathematics of PEFT's weighted merge, without loading a base model.

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
from patchbay.adapters.checks.folder import CONFIG_FILE, DEFAULT_LIMITS, WEIGHTS_FILE
from patchbay.adapters.config import MAX_RANK
from patchbay.adapters.weights import LoraModule, read_modules
from patchbay.core.errors import AdapterError, ConfigError

Method = Literal["linear", "ties", "dare_linear", "dare_ties", "cat"]
METHODS: tuple[Method, ...] = get_args(Method)


@dataclass(frozen=True, slots=True)
class Mixture:
    """How to merge. `weights`: one for each adapter; `density`: the share of the values that TIES and DARE keep;
    `seed`: of DARE's choice."""

    weights: tuple[float, ...]
    method: Method = "linear"
    density: float = 0.5
    seed: int = 0


def merge(folders: Sequence[Path], mixture: Mixture, out: Path) -> None:
    """Writes the merge of the adapters in `folders` to the new folder `out`. `cat` is exact, its rank the sum of
    theirs; the others work on the matrices apart, and need one rank for all.

    Raises AdapterError where the adapters cannot be merged so, ConfigError where PEFT is not installed.
    """
    settings = [read_config(folder, max_rank=MAX_RANK, limits=DEFAULT_LIMITS) for folder in folders]
    _check(folders, settings, mixture)
    torch = _torch()
    torch.manual_seed(mixture.seed)
    parts = [{module.name: module for module in read_modules(folder)} for folder in folders]
    tensors: dict[str, Any] = {}
    for name in sorted(set().union(*parts)):
        found = [(part[name], weight) for part, weight in zip(parts, mixture.weights, strict=True) if name in part]
        a, b = _merged(found, mixture)
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
    for folder, one in zip(folders, settings, strict=True):
        if one.saved or one.transposed or one.rank_pattern:
            raise AdapterError(
                f"{folder / CONFIG_FILE}: modules_to_save, fan_in_fan_out and rank_pattern cannot be merged."
            )
    ranks = sorted({one.rank for one in settings})
    if mixture.method != "cat" and len(ranks) > 1:
        raise AdapterError(
            f"The adapters have the ranks {', '.join(map(str, ranks))}, and '{mixture.method}' needs one for all.",
            hint="Use --method cat.",
        )


def _merged(found: Sequence[tuple[LoraModule, float]], mixture: Mixture) -> tuple[Any, Any]:
    torch = _torch()
    all_a, all_b = ([torch.from_numpy(getattr(one, side).copy()) for one, _ in found] for side in "ab")
    scaled = [weight * one.scale for one, weight in found]
    if mixture.method == "cat":
        return torch.cat([a * scale for a, scale in zip(all_a, scaled, strict=True)]), torch.cat(all_b, dim=1)
    # The sign goes to one side alone, or it would cancel out.
    for_a = torch.tensor([math.copysign(math.sqrt(abs(scale)), scale) for scale in scaled])
    for_b = torch.tensor([math.sqrt(abs(scale)) for scale in scaled])
    combine = _combination(mixture)
    return combine(all_a, for_a), combine(all_b, for_b)


def _combination(mixture: Mixture) -> Callable[[list[Any], Any], Any]:
    from peft.utils import merge_utils

    if mixture.method == "linear":
        return partial(merge_utils.task_arithmetic)
    function = getattr(merge_utils, mixture.method)
    return partial(function, density=mixture.density)


def _write(out: Path, like: Path, tensors: dict[str, Any]) -> None:
    """Writes a PEFT folder. What was a scale is in the weights now, so alpha is the rank. With `cat`, a module that not
    all adapters have has a lower rank than the others, which a pattern tells."""
    from safetensors.torch import save_file

    ends = "base_model.model.", ".lora_A.weight"
    left = {name: tensor for name, tensor in tensors.items() if name.endswith(ends[1])}
    ranks = {name.removeprefix(ends[0]).removesuffix(ends[1]): tensor.shape[0] for name, tensor in left.items()}
    rank = max(ranks.values())
    odd = {name: value for name, value in ranks.items() if value != rank}
    config = json.loads((like / CONFIG_FILE).read_text(encoding="utf-8"))
    config |= {
        "r": rank,
        "lora_alpha": rank,
        "use_rslora": False,
        "rank_pattern": odd,
        "alpha_pattern": dict(odd),
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
