"""GPTQ: int4 rounding in which the columns of a weight that come later make up for the errors of those before.

Block by block, with the inputs that the blocks before, already rounded, give. Source: Frantar et al., "GPTQ: accurate
post-training quantization for generative pre-trained transformers", arXiv 2210.17323, without its order by activations.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from compressed_tensors.quantization import QuantizationScheme
from torch import nn

from patchbay.tuning.bases.quantize import HIGHEST, LOWEST, Grid, best_grid
from patchbay.tuning.progress import ProgressSink

DAMPING = 0.01
BATCH = 8


@dataclass(slots=True)
class SecondMoment:
    """The sum of x xᵀ over the inputs of linear layers that read the same tensor. `names`: those layers."""

    names: list[str]
    total: torch.Tensor
    last: torch.Tensor

    def add(self, inputs: torch.Tensor) -> None:
        """Adds inputs [..., in]."""
        rows = inputs.reshape(-1, inputs.shape[-1]).float()
        self.total.addmm_(rows.t(), rows)
        self.last = inputs


@dataclass(frozen=True, slots=True)
class BlockInputs:
    """The arguments that the blocks of a model are called with, a batch at a time: the `hidden` states before the first
    block, and the keywords of every block."""

    hidden: list[torch.Tensor]
    keywords: list[list[dict[str, Any]]]


@torch.inference_mode()
def round_by_gptq(
    model: nn.Module, rows: torch.Tensor, scheme: QuantizationScheme, progress: ProgressSink
) -> dict[str, Grid]:
    """Rounds the linear layers inside the blocks of `model` in place, and returns their grids by parameter.

    `rows`: token ids to calibrate with, [rows, length]; `progress`: is advanced by each block.
    """
    blocks = blocks_of(model)
    inputs = block_inputs(model, blocks, rows)
    hidden, grids = inputs.hidden, {}
    progress.start("round to int4 (GPTQ)", len(blocks))
    for place, (name, block) in enumerate(blocks.items()):
        linears = block_linears_of(block)
        with observed(linears) as moments:
            _run(block, hidden, inputs.keywords, place)
        for moment in moments:
            for linear, grid in _round_layers({one: linears[one] for one in moment.names}, moment.total, scheme):
                grids[f"{name}.{linear}.weight"] = grid
        hidden = _run(block, hidden, inputs.keywords, place)
        progress.advance()
    return grids


def blocks_of(model: nn.Module) -> dict[str, nn.Module]:
    """Finds the blocks of `model` by name: the longest list of modules that has linear layers."""
    lists = [(name, module) for name, module in model.named_modules() if isinstance(module, nn.ModuleList)]
    with_linears = [(name, found) for name, found in lists if block_linears_of(found)]
    name, longest = max(with_linears, key=lambda one: len(one[1]))
    return {f"{name}.{place}": block for place, block in enumerate(longest)}


def block_linears_of(block: nn.Module) -> dict[str, nn.Linear]:
    """Finds the linear layers of one block by their name in it."""
    return {name: module for name, module in block.named_modules() if isinstance(module, nn.Linear)}


def block_inputs(model: nn.Module, blocks: dict[str, nn.Module], rows: torch.Tensor) -> BlockInputs:
    """Runs `model` once over `rows`, and notes what its blocks are called with."""
    hidden: list[torch.Tensor] = []
    keywords: list[list[dict[str, Any]]] = []

    def note(place: int) -> Any:
        def noted(_: nn.Module, args: tuple[torch.Tensor, ...], named: dict[str, Any]) -> None:
            if place == 0:
                hidden.append(args[0])
                keywords.append([])
            keywords[-1].append(named)

        return noted

    hooks = [one.register_forward_pre_hook(note(at), with_kwargs=True) for at, one in enumerate(blocks.values())]
    try:
        for batch in torch.split(rows, BATCH):
            model(input_ids=batch, use_cache=False, logits_to_keep=1)
    finally:
        for hook in hooks:
            hook.remove()
    return BlockInputs(hidden, keywords)


@contextmanager
def observed(linears: dict[str, nn.Linear]) -> Iterator[list[SecondMoment]]:
    """Sums up, while its block runs, the second moments of what the linear layers read; layers that read the same
    tensor share one."""
    moments: list[SecondMoment] = []
    found: dict[str, SecondMoment] = {}

    def note(name: str) -> Any:
        def noted(_: nn.Module, args: tuple[torch.Tensor, ...]) -> None:
            _add(moments, found, name, args[0])

        return noted

    hooks = [linear.register_forward_pre_hook(note(name)) for name, linear in linears.items()]
    try:
        yield moments
    finally:
        for hook in hooks:
            hook.remove()


def _add(moments: list[SecondMoment], found: dict[str, SecondMoment], name: str, inputs: torch.Tensor) -> None:
    if name not in found:
        shared = next((moment for moment in moments if moment.last is inputs), None)
        if shared is not None:
            shared.names.append(name)
            found[name] = shared
            return
        size = inputs.shape[-1]
        found[name] = SecondMoment([name], torch.zeros(size, size), inputs)
        moments.append(found[name])
    if found[name].names[0] == name:
        found[name].add(inputs)


def _run(
    block: nn.Module, hidden: list[torch.Tensor], keywords: list[list[dict[str, Any]]], place: int
) -> list[torch.Tensor]:
    outputs = (block(states, **keywords[batch][place]) for batch, states in enumerate(hidden))
    return [output[0] if isinstance(output, tuple) else output for output in outputs]


def _round_layers(
    linears: dict[str, nn.Linear], moment: torch.Tensor, scheme: QuantizationScheme
) -> Iterator[tuple[str, Grid]]:
    """Rounds layers that read the same inputs in place, together; yields each with its grid."""
    sizes = [linear.out_features for linear in linears.values()]
    together = torch.cat([linear.weight.data.float() for linear in linears.values()])
    weight, grid = gptq(together, moment, group_size=scheme.weights.group_size, symmetric=scheme.weights.symmetric)
    parts = zip(*(torch.split(one, sizes) for one in (weight, grid.scale, grid.zero)), strict=True)
    for (name, linear), (rounded, scale, zero) in zip(linears.items(), parts, strict=True):
        linear.weight.data = rounded.to(linear.weight.dtype)
        yield name, Grid(scale, zero)


def gptq(weight: torch.Tensor, moment: torch.Tensor, *, group_size: int, symmetric: bool) -> tuple[torch.Tensor, Grid]:
    """Rounds `weight` [out, in] so that what it makes of its inputs changes little, and returns it with its grid.

    `moment`: the sum of x xᵀ over the inputs, [in, in].
    """
    weight, factor, grids = weight.clone(), inverse_factor(moment), []
    weight[:, moment.diagonal() == 0] = 0
    for first in range(0, weight.shape[1], group_size):
        end = first + group_size
        grid = best_grid(weight[:, first:end].unsqueeze(1), symmetric=symmetric)
        rounded, errors = _round_group(weight[:, first:end], factor[first:end, first:end], grid)
        weight[:, first:end] = rounded
        weight[:, end:] -= errors @ factor[first:end, end:]
        grids.append(grid)
    return weight, Grid(torch.cat([one.scale for one in grids], 1), torch.cat([one.zero for one in grids], 1))


def _round_group(weight: torch.Tensor, factor: torch.Tensor, grid: Grid) -> tuple[torch.Tensor, torch.Tensor]:
    """Rounds the columns of one group in order, and returns them and their errors, [out, size] each."""
    # A column after the other is read and written: they lie together this way.
    columns = weight.t().contiguous()
    errors = torch.empty_like(columns)
    scale, zero = grid.scale[:, 0], grid.zero[:, 0]
    for place in range(len(columns)):
        rounded = ((columns[place] / scale).round_().add_(zero).clamp_(LOWEST, HIGHEST) - zero) * scale
        torch.sub(columns[place], rounded, out=errors[place]).div_(factor[place, place])
        columns[place:].addr_(factor[place, place:], errors[place], alpha=-1)
        columns[place] = rounded
    return columns.t(), errors.t()


def inverse_factor(moment: torch.Tensor) -> torch.Tensor:
    """Returns the upper Cholesky factor of the damped inverse of `moment`, which is computed in float64."""
    damped = moment.double()
    diagonal = damped.diagonal()
    diagonal[diagonal == 0] = 1
    diagonal += DAMPING * diagonal.mean()
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(damped))
    factor: torch.Tensor = torch.linalg.cholesky(inverse, upper=True)
    return factor.float()
