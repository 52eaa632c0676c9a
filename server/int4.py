"""The dequantization of 4-bit weights: from packed integers, scales and zero points to the numbers they stand for.

Pure PyTorch. Eight 4-bit integers lie in each 32-bit one, the first in the lowest bits, as GPTQ and compressed-tensors
have it.
"""

import torch
from torch import Tensor

_BITS = 4
_PER_INT32 = 32 // _BITS
# In weights without zero points, the middle of the range stands for zero.
_ZERO_POINT = 8


def unpacked(packed: Tensor, dim: int) -> Tensor:
    """Unpacks the integers, 0 to 15, in `packed` (int32). The result is eight times as long in dimension `dim`."""
    shifts = torch.arange(0, 32, _BITS, dtype=torch.int32, device=packed.device)
    spread = (packed.unsqueeze(dim + 1) >> shifts.view(*([1] * (dim + 1)), _PER_INT32, *([1] * (1 - dim)))) & 0xF
    shape = list(packed.shape)
    shape[dim] *= _PER_INT32
    return spread.reshape(shape)


def dequantized(weight: Tensor, scales: Tensor, zeros: Tensor | None) -> Tensor:
    """Returns the weights as float32 [out, in].

    `weight`: packed integers [in / 8, out]; `scales`: [groups, out]; `zeros`: packed zero points [groups, out / 8], or
    None where 8 stands for zero.
    """
    whole = unpacked(weight, 0)
    groups = scales.shape[0]
    offsets = unpacked(zeros, 1) if zeros is not None else torch.full_like(scales, _ZERO_POINT, dtype=torch.int32)
    in_groups = whole.view(groups, whole.shape[0] // groups, -1)
    values = (in_groups - offsets.unsqueeze(1)).float() * scales.float().unsqueeze(1)
    return values.view(whole.shape).t().contiguous()
