"""Estimates, against sums that were done by hand and known figures."""

import dataclasses
import json
from pathlib import Path

import pytest

from patchbay.core.errors import ConfigError
from patchbay.tuning.training.advice import changed, changes, is_out_of_memory, out_of_memory, saved
from patchbay.tuning.training.estimate import Workload, estimate, memory_parts, step_count, trained_parameters
from patchbay.tuning.training.hardware import GPUS, known_gpu, parse_gpus
from patchbay.tuning.training.recipe import TrainingRecipe
from patchbay.tuning.training.shape import KNOWN, read_shape

WORK = Workload(rows=1000, tokens=300, longest=400, validation=100)


def recipe(**sections: object) -> TrainingRecipe:
    return TrainingRecipe.model_validate({"name": "x", "base": ".", "data": {"train": "t"}, **sections})


@pytest.mark.parametrize(
    ("name", "billions"), [("llama-1b", 1.24), ("llama-3b", 3.21), ("llama-8b", 8.03), ("llama-70b", 70.6)]
)
def test_known_shapes_have_the_parameters_that_their_makers_state(name: str, billions: float) -> None:
    shape = KNOWN[name]
    assert (shape.linear_weights + shape.embedding_weights) / 1e9 == pytest.approx(billions, rel=0.01)


def test_the_trained_parameters_of_an_8b_base_are_those_that_peft_counts() -> None:
    """PEFT prints 41,943,040 for rank 16 on all linear layers of Llama 3 8B."""
    assert trained_parameters(recipe(), KNOWN["llama-8b"]) == 41_943_040
    assert trained_parameters(recipe(adapter={"targets": ["q_proj", "v_proj"]}), KNOWN["llama-8b"]) == 6_815_744


def test_the_shape_of_a_folder_is_read_from_its_configuration(tmp_path: Path) -> None:
    shape = KNOWN["llama-8b"]
    config = {
        "hidden_size": 4096,
        "intermediate_size": 14_336,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "vocab_size": 128_256,
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert read_shape(tmp_path) == shape
    (tmp_path / "config.json").write_text(json.dumps(config | {"quantization_config": {}}))
    assert read_shape(tmp_path) == dataclasses.replace(shape, quantized=True)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ConfigError, match="--like"):
        read_shape(tmp_path)


def test_weights_take_their_bytes() -> None:
    shape, gpu = KNOWN["llama-8b"], GPUS["h100-80"]
    whole = memory_parts(recipe(), shape, WORK, gpu)
    packed = memory_parts(recipe(adapter={"kind": "qlora"}), shape, WORK, gpu)
    assert whole["base weights"] == pytest.approx(2 * 8.03e9, rel=0.01)
    assert packed["base weights"] == pytest.approx(6.98e9 * 4.127 / 8 + 2 * 1.05e9, rel=0.01)


@pytest.mark.parametrize(
    ("schedule", "steps"),
    [
        ({}, 250),
        ({"epochs": 2}, 500),
        ({"steps": 17}, 17),
        ({"batch": 3, "accumulation": 4}, 84),
        ({"packing": True}, 74),
    ],
)
def test_steps_are_counted_as_the_trainer_counts_them(schedule: dict[str, object], steps: int) -> None:
    assert step_count(recipe(schedule=schedule), WORK) == steps


def test_devices_share_the_rows() -> None:
    assert step_count(recipe(), WORK, devices=4) == 63


def test_each_change_that_is_advised_saves_what_it_says() -> None:
    shape, gpu = KNOWN["llama-8b"], GPUS["a100-80"]
    wanted = recipe(compute={"precision": "float32"}, schedule={"batch": 8}, data={"train": "t", "max_length": 512})

    def memory(one: TrainingRecipe) -> float:
        return estimate(one, shape, WORK, gpu).memory

    left = saved(wanted, memory)
    assert len(left) == 6
    assert all(after < memory(wanted) for _, after in left)
    for words, _, change in changes(wanted):
        assert words in out_of_memory(wanted)
        again = TrainingRecipe.model_validate(changed(wanted, change).model_dump())
        assert again.schedule.batch * again.schedule.accumulation == 8


def test_what_does_not_fit_is_said() -> None:
    shape = KNOWN["llama-8b"]
    assert not estimate(recipe(), shape, WORK, GPUS["l4-24"]).fits
    assert estimate(recipe(adapter={"kind": "qlora"}), shape, WORK, GPUS["l4-24"]).fits


def test_memory_errors_of_every_kind_are_known() -> None:
    assert is_out_of_memory(MemoryError())
    assert is_out_of_memory(RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"))
    assert is_out_of_memory(RuntimeError("[enforce fail at alloc_cpu.cpp:115] DefaultCPUAllocator: not enough memory"))
    assert not is_out_of_memory(RuntimeError("shapes do not match"))


def test_gpus_are_read_from_what_nvidia_smi_says() -> None:
    found = parse_gpus(
        "NVIDIA H100 80GB HBM3, 81559\nNVIDIA L40S, 46068\nNVIDIA L4, 23034\nTesla T4, 15360\nNo devices\n"
    )
    assert [device.flops for device in found] == [
        GPUS["h100-80"].flops,
        GPUS["l40s-48"].flops,
        GPUS["l4-24"].flops,
        GPUS["l4-24"].flops,
    ]
    assert found[0].memory == 81_559 * 2**20


def test_a_gpu_that_is_not_known_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="h100-80"):
        known_gpu("h10-80")
