"""What adapters add to a batch on a CPU, against one row at a time."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from patchbay.server.lora_ops import RowGroups, expand, rows_by_slot, shrink


def one_by_one(inputs: Tensor, weights: Tensor, indices: Tensor) -> Tensor:
    """The same by definition: each row by its own slot's matrix, nothing for -1."""
    rows = [weights[slot, 0].float() @ row.float() for row, slot in zip(inputs, indices.tolist(), strict=True)]
    return torch.stack(rows) * (indices >= 0).unsqueeze(1)


@given(
    rows=st.integers(1, 40),
    slots=st.integers(1, 12),
    depth=st.integers(1, 24),
    width=st.integers(1, 24),
    dtype=st.sampled_from([torch.float32, torch.bfloat16]),
    seed=st.integers(0, 2**31),
)
@settings(deadline=None)
def test_a_row_gets_its_own_slots_adapter_and_a_row_without_one_gets_nothing(
    rows: int, slots: int, depth: int, width: int, dtype: torch.dtype, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(rows, depth, generator=generator).to(dtype)
    weights = torch.randn(slots, 1, width, depth, generator=generator).to(dtype)
    indices = torch.randint(-1, slots, (rows,), generator=generator)
    right = one_by_one(inputs, weights, indices)
    assert torch.allclose(rows_by_slot(inputs, weights, indices, torch.float32), right, atol=1e-4)
    assert torch.allclose(rows_by_slot(inputs, weights[:, 0], indices, torch.float32), right, atol=1e-4)


def _poisoned(kind: float, seed: int, rows: int, slots: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    depth, width = (int(torch.randint(1, 24, (1,), generator=generator)) for _ in range(2))
    inputs, weights = torch.randn(rows, depth, generator=generator), torch.randn(slots, 1, width, depth)
    indices = torch.randint(-1, slots, (rows,), generator=generator)
    bad_slot, bad_row = (int(torch.randint(0, size, (1,), generator=generator)) for size in (slots, rows))
    weights[bad_slot], inputs[bad_row] = kind, kind
    indices[bad_row] = bad_slot
    return inputs, weights, indices


@given(
    rows=st.integers(2, 120),
    slots=st.integers(1, 12),
    kind=st.sampled_from([float("nan"), float("inf"), -float("inf"), 3e38]),
    seed=st.integers(0, 2**31),
)
@settings(deadline=None)
def test_what_is_not_finite_in_one_slot_or_row_reaches_no_row_of_another_slot(
    rows: int, slots: int, kind: float, seed: int
) -> None:
    inputs, weights, indices = _poisoned(kind, seed, rows, slots)
    bad = int(indices[torch.tensor([not row.isfinite().all() or row[0] > 1e38 for row in inputs]).nonzero()[0, 0]])
    found = rows_by_slot(inputs, weights, indices, torch.float32)
    others = indices != bad
    if others.any():
        right = torch.where((indices >= 0)[others].unsqueeze(1), one_by_one_of(inputs, weights, indices, others), 0.0)
        assert torch.allclose(found[others], right, atol=1e-4)
    assert (found[indices < 0] == 0).all()


def one_by_one_of(inputs: Tensor, weights: Tensor, indices: Tensor, chosen: Tensor) -> Tensor:
    """Each chosen row by its own slot's matrix alone; for a row without a slot, zeros."""
    zero = torch.zeros(weights.shape[2])
    pairs = zip(inputs[chosen], indices[chosen].tolist(), strict=True)
    return torch.stack([weights[slot, 0] @ row if slot >= 0 else zero for row, slot in pairs])


@pytest.mark.parametrize("rows", [1, 2, 7, 90])
def test_a_lora_is_added_to_its_part_of_the_output_and_to_nothing_else(rows: int) -> None:
    inputs, indices = torch.randn(rows, 8), torch.tensor(([1, -1, 0, 2, 2, 1, 0] + 83 * [1])[:rows])
    groups = RowGroups.of(indices)
    a, b = torch.randn(3, 1, 4, 8), torch.randn(3, 1, 6, 4)
    low, output = torch.full((rows, 5), 7.0), torch.ones(rows, 10)
    shrink(inputs, a, low, groups, 0.5)
    assert torch.allclose(low[:, :4], 0.5 * one_by_one(inputs, a, indices), atol=1e-5)
    assert (low[:, 4] == 7).all()
    expand(low[:, :4], b, output[:, 3:9], groups)
    added = one_by_one(low[:, :4], b, indices)
    assert torch.allclose(output[:, 3:9], 1 + added, atol=1e-5)
    assert (output[:, :3] == 1).all()
    assert (output[:, 9] == 1).all()
    expand(low[:, :4], b, output[:, 3:9], groups, add=False)
    assert torch.allclose(output[:, 3:9], added, atol=1e-5)


def test_outputs_that_are_padded_by_another_amount_take_what_they_have_room_for() -> None:
    inputs, indices, b = torch.randn(3, 4), torch.tensor([0, 1, -1]), torch.randn(2, 1, 6, 4)
    groups, right = RowGroups.of(indices), one_by_one(inputs, b, indices)
    narrow, wide = torch.zeros(3, 5), torch.zeros(3, 8)
    expand(inputs, b, narrow, groups)
    expand(inputs, b, wide, groups, add=False)
    assert torch.allclose(narrow, right[:, :5], atol=1e-5)
    assert torch.allclose(wide[:, :6], right, atol=1e-5)
    assert (wide[:, 6:] == 0).all()


def test_fewer_rows_than_slots_were_told_for_are_refused_and_not_guessed_at() -> None:
    with pytest.raises(ValueError, match="2 rows"):
        RowGroups.of(torch.tensor([0, 1, 1])).product(torch.ones(2, 4), torch.ones(2, 3, 4), torch.float32)
