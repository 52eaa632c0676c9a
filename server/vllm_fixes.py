"""Corrections to vLLM 0.32.0, each with its upstream issue. One goes when a release that has it is taken."""

import functools
from collections.abc import Callable
from typing import Any

from torch import Tensor
from vllm.lora.ops.torch_ops import lora_ops
from vllm.lora.punica_wrapper import punica_cpu

LoraOp = Callable[..., None]


def mask_base_rows() -> None:
    """Keeps adapters out of the base model's answers on a CPU.

    A row of the batch without an adapter has the slot index -1, by which vLLM's CPU operations mean the last slot: in a
    batch with others, a request for the base is answered by whichever adapter is there. Rows of that index are zeroed
    on their way in, so that nothing is added to them. Must run before the model is compiled; a second run does nothing.

    Source: https://github.com/vllm-project/vllm/pull/48421 (the Triton kernels of the GPU do skip such rows).
    """
    for name in ("bgmv_shrink", "bgmv_expand", "bgmv_expand_slice"):
        operation = getattr(lora_ops, name)
        if not hasattr(operation, "__wrapped__"):
            masked = _masking(operation)
            setattr(lora_ops, name, masked)
            setattr(punica_cpu, name, masked)


def _masking(operation: LoraOp) -> LoraOp:
    @functools.wraps(operation)
    def masked(inputs: Tensor, weights: Tensor, output: Tensor, indices: Tensor, *rest: Any, **named: Any) -> None:
        operation(inputs.masked_fill((indices < 0).unsqueeze(1), 0), weights, output, indices, *rest, **named)

    return masked
