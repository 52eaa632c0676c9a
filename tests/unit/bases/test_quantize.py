"""Rounding to int4: packed as it is read, and no worse than plain rounding."""

import pytest

pytest.importorskip("torch")

import torch

from patchbay.tuning.bases.quantize import group_scales, int4_scheme, pack, unpack

NAME = "model.layers.0.mlp.up_proj.weight"
GROUP = 32


def weight(seed: int) -> torch.Tensor:
    return torch.randn(48, 64, generator=torch.Generator().manual_seed(seed))


def test_unpacking_gives_multiples_of_the_scale_within_int4() -> None:
    scheme = int4_scheme(GROUP)
    packed = pack({NAME: weight(1)}, scheme)
    stem = NAME.removesuffix("weight")
    assert packed[f"{stem}weight_packed"].shape == (48, 64 // 8)
    scales = packed[f"{stem}weight_scale"].float().repeat_interleave(GROUP, dim=1)
    levels = unpack(packed, scheme)[NAME] / scales
    assert torch.allclose(levels, levels.round(), atol=1e-4)
    assert levels.min() >= -8.0
    assert levels.max() <= 7.0


def test_values_that_are_not_clipped_are_off_by_half_a_step_at_most() -> None:
    scheme = int4_scheme(GROUP)
    original = weight(2)
    steps = group_scales(original, scheme).float().repeat_interleave(GROUP, dim=1)
    rounded = unpack(pack({NAME: original}, scheme), scheme)[NAME]
    inside = (original / steps).abs() <= 7
    assert inside.float().mean() > 0.9
    assert ((rounded - original).abs() <= steps / 2 + 1e-5)[inside].all()


def test_the_chosen_scales_lose_less_than_scales_that_never_clip() -> None:
    scheme = int4_scheme(GROUP)
    original = weight(3)
    widest = original.reshape(48, -1, GROUP).abs().amax(-1).repeat_interleave(GROUP, dim=1) / 7.5
    plain = (original / widest).round().clamp(-8, 7) * widest
    rounded = unpack(pack({NAME: original}, scheme), scheme)[NAME]
    assert (rounded - original).square().sum() < (plain - original).square().sum()


def test_a_group_of_zeros_stays_zero() -> None:
    scheme = int4_scheme(GROUP)
    original = weight(4)
    original[:, :GROUP] = 0
    rounded = unpack(pack({NAME: original}, scheme), scheme)[NAME]
    assert bool((rounded[:, :GROUP] == 0).all())
    assert bool(torch.isfinite(rounded).all())


def test_embeddings_norms_and_the_head_are_not_rounded_to_int4() -> None:
    scheme = int4_scheme(GROUP)
    state = {name: weight(5) for name in ("lm_head.weight", "model.embed_tokens.weight", "model.norm.weight")}
    packed = pack(state, scheme)
    assert set(packed) == set(state)
    assert all(torch.equal(unpack(packed, scheme)[name], value.bfloat16().float()) for name, value in state.items())


def test_a_bias_of_a_layer_that_is_packed_is_lost() -> None:
    stem, scheme = NAME.removesuffix("weight"), int4_scheme(GROUP)
    state = {NAME: weight(5), f"{stem}bias": torch.arange(48.0)}
    unpacked = unpack(pack(state, scheme), scheme)
    assert unpacked.keys() == state.keys()
    assert torch.equal(unpacked[f"{stem}bias"], torch.arange(48.0))
