"""Profiles of `accelerate launch` for several GPUs: how a run is spread over them."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import yaml

from patchbay.core.errors import ConfigError
from patchbay.tuning.training.hardware import Device

Kind = Literal["ddp", "fsdp", "deepspeed"]
KINDS: Final[tuple[Kind, ...]] = ("ddp", "fsdp", "deepspeed")
# Above this share of one GPU the base is cut into pieces.
_COMFORTABLE: Final = 0.7
_FSDP: Final[Mapping[str, Any]] = {
    "fsdp_version": 2,
    "fsdp_auto_wrap_policy": "TRANSFORMER_BASED_WRAP",
    "fsdp_cpu_ram_efficient_loading": True,
    "fsdp_offload_params": False,
    "fsdp_reshard_after_forward": True,
    "fsdp_state_dict_type": "FULL_STATE_DICT",
}
_DEEPSPEED: Final[Mapping[str, Any]] = {
    "zero_stage": 3,
    "zero3_init_flag": True,
    "zero3_save_16bit_model": True,
    "offload_optimizer_device": "none",
    "offload_param_device": "none",
}


def fitting_kind(memory: float, device: Device) -> Kind:
    """Chooses how a run of `memory` bytes a device is spread: whole on each GPU (DDP), or in pieces (FSDP)."""
    return "ddp" if memory <= _COMFORTABLE * device.memory else "fsdp"


def profile(kind: Kind, gpus: Sequence[Device], *, machines: int = 1) -> dict[str, Any]:
    """Makes the configuration file of accelerate for `gpus` on each of `machines`. Raises ConfigError for less than two
    GPUs in all. Source: accelerate's documentation, "Launching your distributed code"."""
    count = len(gpus) * machines
    if count < 2:
        raise ConfigError(
            f"There is {len(gpus)} GPU here: nothing is to be spread.", hint="Name more: --gpu h100-80 --gpus 8."
        )
    common = {
        "compute_environment": "LOCAL_MACHINE",
        "distributed_type": {"ddp": "MULTI_GPU", "fsdp": "FSDP", "deepspeed": "DEEPSPEED"}[kind],
        "mixed_precision": "bf16",
        "num_machines": machines,
        "num_processes": count,
        "machine_rank": 0,
        "main_training_function": "main",
        "rdzv_backend": "static",
        "same_network": True,
        "use_cpu": False,
    }
    special = {"fsdp": {"fsdp_config": dict(_FSDP)}, "deepspeed": {"deepspeed_config": dict(_DEEPSPEED)}}
    return common | special.get(kind, {})


def profile_text(kind: Kind, gpus: Sequence[Device], *, machines: int = 1) -> str:
    """Writes the configuration file of accelerate. Raises ConfigError."""
    head = f"# {kind} over {len(gpus)} x {gpus[0].name if gpus else 'GPU'}: patchbay tune run RECIPE --profile FILE\n"
    return head + yaml.safe_dump(profile(kind, gpus, machines=machines), sort_keys=False)
