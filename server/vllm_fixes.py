"""Corrections to vLLM 0.32.0, each with its upstream issue. One goes when a release that has it is taken."""

from vllm.lora.ops.torch_ops import lora_ops
from vllm.lora.punica_wrapper import punica_cpu

from server.lora_ops import expand, expand_slice, shrink


def replace_lora_ops() -> None:
    """Puts our operations for adapters on a CPU in the place of vLLM's.

    vLLM's have the last slot's adapter answer requests for the base. Must run before the model is compiled; a second
    run does nothing.

    Source: https://github.com/vllm-project/vllm/pull/48421 (the Triton kernels of the GPU skip such rows).
    """
    for name, operation in (("bgmv_shrink", shrink), ("bgmv_expand", expand), ("bgmv_expand_slice", expand_slice)):
        setattr(lora_ops, name, operation)
        setattr(punica_cpu, name, operation)
