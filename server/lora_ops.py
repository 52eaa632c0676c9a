"""The products of a batch's rows with the LoRA matrices of their own slots, on a CPU. Pure PyTorch.

vLLM's own operations copy a whole adapter's matrix for every row of the batch, prompts' tokens included, and take the
slot index -1 (a row without an adapter) for the last slot (https://github.com/vllm-project/vllm/pull/48421). Here rows
are gathered by their slots, once a step, and each group is multiplied by the matrix of its slot alone.

Nothing is ever multiplied by a mask: infinity times zero is not a number, so one adapter whose product overflows would
reach every row. A row is multiplied by its own slot's matrix, or by none.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

# Groups of at least so many rows are multiplied one by one. Smaller groups are multiplied together, each padded to the
# largest of them.
_LARGE_ROWS = 24


@dataclass(frozen=True, slots=True)
class _Group:
    """The rows of one slot: a slice where they are consecutive, else their indices."""

    slot: int
    rows: slice | Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class _Padded:
    """Small groups padded to the same length, so that one batched product serves them all.

    `slots`: the groups' slots; `most`: the length of the largest group; `source_rows` [slots x most]: the row of the
    batch for each place, any row of the group where a place is padding; `own_places`: the places that are not padding;
    `rows`: the rows of the batch in these places.
    """

    slots: Tensor
    most: int
    source_rows: Tensor
    own_places: Tensor
    rows: Tensor

    def product(self, inputs: Tensor, matrices: Tensor) -> Tensor:
        """Multiplies each row by its own slot's matrix. Returns [rows, out], in the order of `rows`."""
        padded_inputs = inputs.index_select(0, self.source_rows).view(len(self.slots), self.most, -1)
        own_matrices = matrices.index_select(0, self.slots).to(inputs.dtype)
        return torch.bmm(padded_inputs, own_matrices.transpose(1, 2)).flatten(0, 1).index_select(0, self.own_places)


@dataclass(frozen=True, slots=True)
class RowGroups:
    """The rows of a batch by their slots, made once a step and used by every layer.

    `count`: the number of all rows, those without an adapter included; `large`: groups that are multiplied one by one;
    `padded`: the small groups; `ordered`: whether every row is in `padded`, in its own order.
    """

    count: int
    large: tuple[_Group, ...] = ()
    padded: _Padded | None = None
    ordered: bool = False

    @classmethod
    def of(cls, indices: Tensor) -> "RowGroups":
        """Groups rows by the slots in `indices` [rows], -1 for a row without an adapter."""
        rows_of_slot: dict[int, list[int]] = {}
        for row, slot in enumerate(indices.tolist()):
            if slot >= 0:
                rows_of_slot.setdefault(slot, []).append(row)
        large = tuple(
            _Group(slot, _slice_or_indices(rows))
            for slot, rows in rows_of_slot.items()
            if _is_large(rows, rows_of_slot)
        )
        small = {slot: rows for slot, rows in rows_of_slot.items() if not _is_large(rows, rows_of_slot)}
        count = len(indices)
        return cls(count, large, _pad(small) if small else None, sum(map(len, small.values())) == count)

    @property
    def empty(self) -> bool:
        """Whether no row has an adapter."""
        return not self.large and self.padded is None

    def product(self, inputs: Tensor, weights: Tensor, dtype: torch.dtype) -> Tensor:
        """Multiplies each row of `inputs` by the transposed matrix of its slot, computed in `dtype`.

        `inputs`: [rows, in]; `weights`: [slots, 1, out, in] or [slots, out, in]. Returns [rows, out], zeros for rows
        without an adapter. Raises ValueError where there are fewer rows than slot indices.
        """
        if len(inputs) < self.count:
            raise ValueError(f"{len(inputs)} rows were given for the slots of {self.count}")
        matrices = weights.squeeze(1) if weights.dim() == 4 else weights
        rows = inputs.to(dtype)
        if self.padded is not None and self.ordered and len(rows) == self.count:
            return self.padded.product(rows, matrices)
        if len(self.large) == 1 and _covers(self.large[0].rows, len(rows)):
            return rows @ matrices[self.large[0].slot].to(dtype).t()
        result = rows.new_zeros(len(rows), matrices.shape[1])
        if self.padded is not None:
            result.index_copy_(0, self.padded.rows, self.padded.product(rows, matrices))
        for group in self.large:
            result[group.rows] = rows[group.rows] @ matrices[group.slot].to(dtype).t()
        return result


def rows_by_slot(inputs: Tensor, weights: Tensor, indices: Tensor, dtype: torch.dtype) -> Tensor:
    """Computes `RowGroups.product` for the slots in `indices` [rows], -1 for a row without an adapter."""
    return RowGroups.of(indices).product(inputs, weights, dtype)


def shrink(inputs: Tensor, weights: Tensor, output: Tensor, groups: RowGroups, scale: float = 1.0) -> None:
    """Writes `scale` x A into `output`: LoRA's first product.

    `inputs`: [rows, in]; `weights`: A of each slot, [slots, 1, rank, in]; `output`: [rows, at least rank].
    """
    product = groups.product(inputs, weights, output.dtype)
    output[:, : product.shape[1]] = product if scale == 1 else product.mul_(scale)


def expand(inputs: Tensor, weights: Tensor, output: Tensor, groups: RowGroups, *, add: bool = True) -> None:
    """Adds x B to `output`, or writes it there where `add` is not set: LoRA's second product.

    `inputs`: [rows, rank]; `weights`: B of each slot, [slots, 1, out, rank]; `output`: [rows, about out].
    """
    product = groups.product(inputs, weights, output.dtype)
    # The model and its adapters may be padded by different amounts.
    width = min(product.shape[1], output.shape[1])
    place, product = output[:, :width], product[:, :width]
    if add:
        place += product
    else:
        place.copy_(product)


def _is_large(rows: Sequence[int], rows_of_slot: dict[int, list[int]]) -> bool:
    return len(rows) >= _LARGE_ROWS or len(rows_of_slot) == 1


def _covers(rows: slice | Tensor, count: int) -> bool:
    return isinstance(rows, slice) and rows.start == 0 and rows.stop == count


def _slice_or_indices(rows: Sequence[int]) -> slice | Tensor:
    if rows[-1] - rows[0] + 1 == len(rows):
        return slice(rows[0], rows[-1] + 1)
    return torch.tensor(rows)


def _pad(groups: dict[int, list[int]]) -> _Padded:
    most = max(map(len, groups.values()))
    source_rows = [row for rows in groups.values() for row in [*rows, *[rows[0]] * (most - len(rows))]]
    members = sorted(
        (row, group * most + place) for group, rows in enumerate(groups.values()) for place, row in enumerate(rows)
    )
    rows, own_places = torch.tensor(members).unbind(1)
    return _Padded(
        slots=torch.tensor(list(groups)),
        most=most,
        source_rows=torch.tensor(source_rows),
        own_places=own_places.contiguous(),
        rows=rows.contiguous(),
    )
