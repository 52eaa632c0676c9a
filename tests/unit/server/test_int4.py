"""4-bit weights as numbers, against the library that packs them."""

import pytest
import torch
from compressed_tensors.compressors.pack_quantized.helpers import pack_to_int32

from patchbay.server.int4 import dequantized, unpacked

OUT, IN, GROUP = 16, 64, 32


@pytest.mark.parametrize("symmetric", [True, False])
def test_weights_are_those_that_were_packed(symmetric: bool) -> None:
    generator = torch.Generator().manual_seed(1)
    numbers = torch.randint(-8, 8, (OUT, IN), dtype=torch.int8, generator=generator)
    scales = torch.rand(OUT, IN // GROUP, generator=generator) + 0.1
    zeros = torch.randint(-8, 8, (OUT, IN // GROUP), dtype=torch.int8, generator=generator)
    offsets = torch.zeros_like(zeros) if symmetric else zeros
    packed = pack_to_int32(numbers, 4)
    packed_zeros = None if symmetric else pack_to_int32(zeros, 4, packed_dim=0)
    made = dequantized(packed.t(), scales.t(), None if packed_zeros is None else packed_zeros.t())
    spread = offsets.repeat_interleave(GROUP, 1).float()
    assert torch.allclose(made, (numbers.float() - spread) * scales.repeat_interleave(GROUP, 1))


def test_the_first_of_eight_lies_in_the_lowest_bits() -> None:
    assert unpacked(torch.tensor([[0x76543210]], dtype=torch.int32), 1).tolist() == [[0, 1, 2, 3, 4, 5, 6, 7]]
    assert unpacked(torch.tensor([[-1]], dtype=torch.int32), 0).flatten().tolist() == [15] * 8
