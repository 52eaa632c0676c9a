"""What adapters add to a batch on a CPU, against one row at a time."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from server.lora_ops import expand, expand_slice, rows_by_slot, shrink


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


@pytest.mark.parametrize("rows", [1, 2, 7])
def test_a_lora_is_added_to_its_part_of_the_output_and_to_nothing_else(rows: int) -> None:
    inputs, indices = torch.randn(rows, 8), torch.tensor([1, -1, 0, 2, 2, 1, 0][:rows])
    a, b = torch.randn(3, 1, 4, 8), torch.randn(3, 1, 6, 4)
    low, output = torch.full((rows, 5), 7.0), torch.ones(rows, 10)
    shrink(inputs, a, low, indices, 0.5)
    assert torch.allclose(low[:, :4], 0.5 * one_by_one(inputs, a, indices), atol=1e-5)
    assert (low[:, 4] == 7).all()
    expand_slice(low[:, :4], b, output, indices, 3, 6)
    added = one_by_one(low[:, :4], b, indices)
    assert torch.allclose(output[:, 3:9], 1 + added, atol=1e-5)
    assert (output[:, :3] == 1).all()
    assert (output[:, 9] == 1).all()
    expand_slice(low[:, :4], b, output, indices, 3, 6, add_inputs=False)
    assert torch.allclose(output[:, 3:9], added, atol=1e-5)


def test_outputs_that_are_padded_by_another_amount_take_what_they_have_room_for() -> None:
    inputs, indices, b = torch.randn(3, 4), torch.tensor([0, 1, -1]), torch.randn(2, 1, 6, 4)
    right = one_by_one(inputs, b, indices)
    narrow, wide = torch.zeros(3, 5), torch.zeros(3, 8)
    expand(inputs, b, narrow, indices)
    expand(inputs, b, wide, indices, add_inputs=False)
    assert torch.allclose(narrow, right[:, :5], atol=1e-5)
    assert torch.allclose(wide[:, :6], right, atol=1e-5)
    assert (wide[:, 6:] == 0).all()
