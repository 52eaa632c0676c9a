"""Products of a batch's rows with the LoRA matrices of their own slots, on a CPU. Pure PyTorch.

vLLM's own operations copy a whole adapter's matrix for every row of the batch, prompts' tokens included, and take the
slot index -1 (a row without an adapter) for the last slot (https://github.com/vllm-project/vllm/pull/48421). Here rows
are gathered by their slots, once a step, and each group is multiplied by the matrix of its slot alone.

Nothing is ever multiplied by a mask: infinity times zero is not a number, so one adapter whose product overflows would
reach every row. A row meets its own slot's matrix, or none.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

# Groups of at least so many rows are multiplied one by one; smaller ones together, each padded to the largest of them.
_LARGE = 24


@dataclass(frozen=True, slots=True)
class _Group:
    """The rows of one slot: a slice where they lie together, else their numbers."""

    slot: int
    rows: slice | Tensor


@dataclass(frozen=True, slots=True)
class _Padded:
    """Small groups side by side. `slots`: theirs; `taken` [slots x most]: the row for each place, any row where a group
    is shorter; `places`: the places that are meant; `rows`: which rows these are."""

    slots: Tensor
    most: int
    taken: Tensor
    places: Tensor
    rows: Tensor

    def product(self, inputs: Tensor, matrices: Tensor) -> Tensor:
        """[rows, out]: each row times its own slot's matrix. A place that is only padding has a row of its own."""
        spread = inputs.index_select(0, self.taken).view(len(self.slots), self.most, -1)
        own = matrices.index_select(0, self.slots).to(inputs.dtype)
        return torch.bmm(spread, own.transpose(1, 2)).flatten(0, 1).index_select(0, self.places)


@dataclass(frozen=True, slots=True)
class RowGroups:
    """The rows of a batch by their slots, made once a step and used by every layer. `count`: all rows, those without an
    adapter included; `ordered`: whether every row is in `padded`, in its own order."""

    count: int
    large: tuple[_Group, ...] = ()
    padded: _Padded | None = None
    ordered: bool = False

    @classmethod
    def of(cls, indices: Tensor) -> "RowGroups":
        """The groups for the slots in `indices` [rows], -1 for a row without an adapter."""
        found: dict[int, list[int]] = {}
        for row, slot in enumerate(indices.tolist()):
            if slot >= 0:
                found.setdefault(slot, []).append(row)
        large = tuple(_Group(slot, _place(rows)) for slot, rows in found.items() if _is_large(rows, found))
        small = {slot: rows for slot, rows in found.items() if not _is_large(rows, found)}
        count = len(indices)
        return cls(count, large, _pad(small) if small else None, sum(map(len, small.values())) == count)

    @property
    def empty(self) -> bool:
        """Whether no row has an adapter."""
        return not self.large and self.padded is None

    def product(self, inputs: Tensor, weights: Tensor, dtype: torch.dtype) -> Tensor:
        """Each row of `inputs` [rows, in] times the transposed matrix of its slot in `weights` [slots, 1, out, in] or
        [slots, out, in], computed in `dtype`. Returns [rows, out], zeros for rows without an adapter."""
        if len(inputs) < self.count:
            raise ValueError(f"{len(inputs)} rows were given for the slots of {self.count}")
        matrices = weights.squeeze(1) if weights.dim() == 4 else weights
        rows = inputs.to(dtype)
        if self.padded is not None and self.ordered and len(rows) == self.count:
            return self.padded.product(rows, matrices)
        if len(self.large) == 1 and _covers(self.large[0].rows, len(rows)):
            return rows @ matrices[self.large[0].slot].to(dtype).t()
        found = rows.new_zeros(len(rows), matrices.shape[1])
        if self.padded is not None:
            found.index_copy_(0, self.padded.rows, self.padded.product(rows, matrices))
        for group in self.large:
            found[group.rows] = rows[group.rows] @ matrices[group.slot].to(dtype).t()
        return found


def rows_by_slot(inputs: Tensor, weights: Tensor, indices: Tensor, dtype: torch.dtype) -> Tensor:
    """`RowGroups.product` for the slots in `indices` [rows], -1 for none, as of now."""
    return RowGroups.of(indices).product(inputs, weights, dtype)


def shrink(inputs: Tensor, weights: Tensor, output: Tensor, groups: RowGroups, scale: float = 1.0) -> None:
    """Writes `scale` x A into `output` [rows, at least rank]. `inputs` [rows, in], `weights` [slots, 1, rank, in]."""
    product = groups.product(inputs, weights, output.dtype)
    output[:, : product.shape[1]] = product if scale == 1 else product.mul_(scale)


def expand(inputs: Tensor, weights: Tensor, output: Tensor, groups: RowGroups, *, add: bool = True) -> None:
    """Adds x B to `output` [rows, about out], or writes it there. `inputs` [rows, rank], `weights` [slots, 1, out,
    rank]."""
    product = groups.product(inputs, weights, output.dtype)
    # The model and its adapters may be padded by different amounts.
    width = min(product.shape[1], output.shape[1])
    place, product = output[:, :width], product[:, :width]
    if add:
        place += product
    else:
        place.copy_(product)


def _is_large(rows: Sequence[int], found: dict[int, list[int]]) -> bool:
    return len(rows) >= _LARGE or len(found) == 1


def _covers(rows: slice | Tensor, count: int) -> bool:
    return isinstance(rows, slice) and rows.start == 0 and rows.stop == count


def _place(rows: Sequence[int]) -> slice | Tensor:
    if rows[-1] - rows[0] + 1 == len(rows):
        return slice(rows[0], rows[-1] + 1)
    return torch.tensor(rows)


def _pad(groups: dict[int, list[int]]) -> _Padded:
    most = max(map(len, groups.values()))
    taken = [row for rows in groups.values() for row in [*rows, *[rows[0]] * (most - len(rows))]]
    members = sorted(
        (row, group * most + place) for group, rows in enumerate(groups.values()) for place, row in enumerate(rows)
    )
    rows, places = torch.tensor(members).unbind(1)
    return _Padded(torch.tensor(list(groups)), most, torch.tensor(taken), places.contiguous(), rows.contiguous())
