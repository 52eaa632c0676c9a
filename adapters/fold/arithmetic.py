"""The arithmetic of a fold, in float32, as PEFT's layers compute: LoRA, DoRA, whole weights, single rows, biases.

Source: `merge` of PEFT's LoRA layers; DoRA: Liu et al., ICML 2024, arXiv 2402.09353.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from patchbay.adapters.checks.safetensors import Tensor
from patchbay.adapters.fold.checkpoint import load_torch
from patchbay.adapters.fold.plan import WeightChange
from patchbay.adapters.fold.trained import LowRank

if TYPE_CHECKING:
    import torch

    Read = Callable[[Tensor], torch.Tensor]


def changed(weight: "torch.Tensor", change: WeightChange, read: "Read", *, transposed: bool) -> "torch.Tensor":
    """Returns the base's `weight` after the `change`, in float32: it is rounded once, when it is written.

    `read`: reads one of the adapter's tensors; `transposed`: whether linear layers' weights are [in, out].
    """
    result = (weight if change.whole is None else read(change.whole)).float()
    if change.rows is not None:
        result = result.clone()
        result[list(change.rows.ids)] = read(change.rows.values).float()
    if change.low_rank is not None:
        result = _with_low_rank(result, change.low_rank, read, transposed=transposed)
    if change.shift is not None:
        tensor, scale = change.shift
        result = result + read(tensor).float() * scale
    return result


def _with_low_rank(weight: "torch.Tensor", low_rank: LowRank, read: "Read", *, transposed: bool) -> "torch.Tensor":
    pair = low_rank.pair
    turned = pair.embedding or transposed
    summed = (weight.t() if turned else weight) + (read(pair.b).float() @ read(pair.a).float()) * low_rank.scale
    if low_rank.magnitude is not None:
        norms = load_torch().linalg.norm(summed, dim=1)
        summed = summed * (read(low_rank.magnitude).float() / norms).unsqueeze(1)
    return summed.t() if turned else summed
