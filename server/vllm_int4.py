"""A substitute for vLLM's int4 kernel on CPUs that it was not built for.

vLLM 0.32.0 chooses `CPUWNA16LinearKernel` on every CPU, but its operation is compiled for AVX-512 alone, so on others
the first token ends the engine. There the weights are unpacked to float32 when they are loaded, and multiplied by
PyTorch: slower, and with eight times the memory of the packed ones, but with the same results.
"""

import logging
from typing import Any

import torch
from torch import Tensor
from vllm.model_executor.kernels.linear.mixed_precision.cpu import CPUWNA16LinearKernel
from vllm.platforms import current_platform

from patchbay.server.int4 import dequantized

_log = logging.getLogger("patchbay.server")


def compute_int4_without_avx512() -> None:
    """Replaces the kernel where its operation is missing.

    Call it before a model is loaded. A second call does nothing.
    """
    if not current_platform.is_cpu():
        return
    current_platform.import_kernels()
    if hasattr(torch.ops._C, "cpu_gemm_wna16"):  # noqa: SLF001 - vLLM's own name for where its operations are
        return
    _log.warning("this CPU has no AVX-512, so int4 weights are unpacked to float32: slower, and eight times the memory")
    CPUWNA16LinearKernel.process_weights_after_loading = _unpack
    CPUWNA16LinearKernel.apply_weights = _multiply


def _unpack(kernel: Any, layer: torch.nn.Module) -> None:
    """Replaces the packed weights of `layer` by float32 ones.

    The packed weights come as compressed-tensors has them, the output's dimension first, or as GPTQ has them, the
    input's first.
    """
    packed, scales = getattr(layer, kernel.w_q_name), getattr(layer, kernel.w_s_name)
    zeros = getattr(layer, kernel.w_zp_name) if kernel.config.zero_points else None
    packed.data = dequantized(
        packed.data.t() if packed.input_dim == 1 else packed.data,
        scales.data.t() if scales.output_dim == 0 else scales.data,
        None if zeros is None else zeros.data.t() if zeros.output_dim == 0 else zeros.data,
    )


def _multiply(kernel: Any, layer: torch.nn.Module, x: Tensor, bias: Tensor | None = None) -> Tensor:
    weight = getattr(layer, kernel.w_q_name)
    product = torch.nn.functional.linear(x.float(), weight, None if bias is None else bias.float())
    return product.to(x.dtype)
