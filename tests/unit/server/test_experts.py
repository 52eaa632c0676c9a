"""Bases with experts on a CPU: vLLM's own classes choose what a CPU can compute, and adapters leave the experts out."""

import json
from pathlib import Path

import pytest
import torch
from vllm.model_executor.layers.fused_moe.activation import MoEActivation
from vllm.model_executor.layers.fused_moe.config import FusedMoEConfig, FusedMoEParallelConfig, RoutingMethodType
from vllm.model_executor.layers.fused_moe.oracle.unquantized import (
    UnquantizedMoeBackend,
    select_unquantized_moe_backend,
)

from patchbay.server.config import ServerConfig
from patchbay.server.engine import LoraCapacity
from patchbay.server.vllm_arguments import is_cpu, vllm_arguments
from patchbay.server.vllm_fixes import compute_experts_without_adapters

SIZES = {"hidden_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 2}
cpu_only = pytest.mark.skipif(not is_cpu(), reason="a GPU has kernels for adapters on experts")


def targets(folder: Path, model_type: str, **more: int) -> list[str] | None:
    """The layers that adapters may be for, on a base of this type."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"model_type": model_type, "vocab_size": 100, **SIZES, **more}))
    config = ServerConfig.model_validate({"base": {"model": str(folder), "name": "b"}, "name": "replica-0"})
    found: list[str] | None = vllm_arguments(config, LoraCapacity(slots=1, cpu=2)).lora_target_modules
    return found


@cpu_only
def test_adapters_on_a_cpu_are_for_experts_too(tmp_path: Path) -> None:
    named = targets(tmp_path / "moe", "qwen3_moe", num_experts=4, num_experts_per_tok=2, moe_intermediate_size=32)
    assert named is not None
    assert {"q_proj", "down_proj", "lm_head"} <= set(named)
    assert not [name for name in named if "expert" in name]
    assert targets(tmp_path / "dense", "qwen3") is None


@cpu_only
def test_experts_are_computed_by_triton_on_a_cpu_where_adapters_are_on() -> None:
    compute_experts_without_adapters()
    compute_experts_without_adapters()
    config = FusedMoEConfig(
        num_experts=4,
        experts_per_token=2,
        hidden_dim=64,
        intermediate_size=32,
        num_local_experts=4,
        num_logical_experts=4,
        activation=MoEActivation.SILU,
        device="cpu",
        routing_method=RoutingMethodType.Renormalize,
        moe_parallel_config=FusedMoEParallelConfig.make_no_parallel(),
        in_dtype=torch.float32,
        is_lora_enabled=True,
    )
    assert select_unquantized_moe_backend(config)[0] == UnquantizedMoeBackend.CPU
