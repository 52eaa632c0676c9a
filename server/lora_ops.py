"""What adapters add to a batch on a CPU: each row times the weights of its own slot. Pure PyTorch.

vLLM's own operations copy a whole adapter's matrix for every row of the batch, prompts' tokens included, and take the
slot index -1 (a row without an adapter) for the last slot (https://github.com/vllm-project/vllm/pull/48421). Here the
rows are multiplied by all slots' matrices at once, which are few and small, and each keeps its own; rows without an
adapter get nothing.
"""

import torch
from torch import Tensor

_FEW_SLOTS = 8


def shrink(inputs: Tensor, weights: Tensor, output: Tensor, indices: Tensor, scale: float = 1.0) -> None:
    """Writes `scale` x A into `output` [rows, at least rank]. `inputs` [rows, in], `weights` [slots, 1, rank, in] or
    [slots, rank, in], `indices` [rows], -1 for none."""
    product = rows_by_slot(inputs, weights, indices, output.dtype)
    output[:, : product.shape[1]] = product.mul_(scale)


def expand(inputs: Tensor, weights: Tensor, output: Tensor, indices: Tensor, add_inputs: bool = True) -> None:
    """Adds x B to `output` [rows, about out], or writes it there. `inputs` [rows, rank], `weights` [slots, 1, out,
    rank]."""
    product = rows_by_slot(inputs, weights, indices, output.dtype)
    # The model and its adapters may be padded by different amounts.
    width = min(product.shape[1], output.shape[1])
    rows = 1 if product.shape[0] == 1 else output.shape[0]
    _put(output[:, :width], product[:rows, :width], add=add_inputs)


def expand_slice(  # noqa: PLR0913, PLR0917 - vLLM's signature
    inputs: Tensor,
    weights: Tensor,
    output: Tensor,
    indices: Tensor,
    slice_offset: int,
    slice_size: int,
    add_inputs: bool = True,
) -> None:
    """As `expand`, into the columns from `slice_offset` on."""
    product = rows_by_slot(inputs, weights, indices, output.dtype)
    _put(output[:, slice_offset : slice_offset + slice_size], product, add=add_inputs)


def rows_by_slot(inputs: Tensor, weights: Tensor, indices: Tensor, dtype: torch.dtype) -> Tensor:
    """Each row of `inputs` [rows, in] times the transposed matrix of its slot in `weights` [slots, out, in].

    Returns [rows, out] in `dtype`, zeros where the index is -1.
    """
    matrices = weights.squeeze(1) if weights.dim() == 4 else weights
    rows = inputs.to(dtype)
    slots, width, depth = matrices.shape
    if rows.shape[0] < slots:
        own = torch.bmm(matrices[indices.clamp(min=0)].to(dtype), rows.unsqueeze(2)).squeeze(2)
        return own.mul_((indices >= 0).unsqueeze(1))
    # A mask by comparison costs a quarter less than scattering and gathering by the indices, but not with many slots.
    if depth < width and slots > _FEW_SLOTS:
        spread = rows.new_zeros(rows.shape[0], slots, depth)
        places = indices.clamp(min=0).view(-1, 1, 1).expand(-1, 1, depth)
        spread.scatter_(1, places, rows.masked_fill((indices < 0).unsqueeze(1), 0).unsqueeze(1))
        return spread.view(-1, slots * depth) @ matrices.to(dtype).transpose(1, 2).reshape(slots * depth, width)
    chosen = (indices.unsqueeze(1) == torch.arange(slots, device=indices.device)).unsqueeze(2)
    if depth < width:
        spread = (rows.unsqueeze(1) * chosen).view(-1, slots * depth)
        return spread @ matrices.to(dtype).transpose(1, 2).reshape(slots * depth, width)
    product = (rows @ matrices.reshape(slots * width, depth).to(dtype).t()).view(-1, slots, width)
    return (product * chosen).sum(1)


def _put(place: Tensor, product: Tensor, *, add: bool) -> None:
    if add:
        place += product
    else:
        place.copy_(product)
