"""The arguments of vLLM's server, made from a replica's configuration."""

import dataclasses
from argparse import Namespace
from pathlib import Path
from typing import Any

import psutil
import torch
from transformers import AutoConfig, PretrainedConfig
from vllm.entrypoints.launchers.cli_args import make_arg_parser
from vllm.platforms import current_platform
from vllm.utils.argparse_utils import FlexibleArgumentParser

from patchbay.core.errors import ConfigError, StartError
from patchbay.server.config import BaseConfig, ServerConfig
from patchbay.server.engine import NO_ADAPTERS, LoraCapacity
from patchbay.server.sizing import BaseShape, slot_bytes, slots_that_fit

_GIB = 1024**3
# By default vLLM fetches images and sounds from any address that a request names, even in its operator's network. No
# host can have this name (RFC 6761), so nothing is fetched unless `engine.arguments` allows domains.
_NO_MEDIA_DOMAINS = ("media-by-url-is-off.invalid",)
# vLLM's kernels for adapters on experts need Triton, which a CPU has not: with them in the model, the first request
# ends the engine, whether an adapter has experts or not. So there adapters are for these layers.
_BESIDE_EXPERTS = (
    *("q_proj", "k_proj", "v_proj", "o_proj", "qkv_proj", "q_a_proj", "q_b_proj", "kv_a_proj_with_mqa", "kv_b_proj"),
    *("gate_proj", "up_proj", "down_proj", "gate_up_proj", "lm_head", "embed_tokens"),
)
_EXPERTS = ("num_experts", "num_local_experts", "n_routed_experts")


def is_cpu() -> bool:
    """Says whether vLLM runs on the CPU here."""
    return bool(current_platform.is_cpu())


def lora_capacity(config: ServerConfig) -> LoraCapacity:
    """Computes the slots and the places in host memory, from the free memory where the configuration says `auto`.

    There are none where the replica takes no adapters.
    """
    if not config.takes_adapters:
        return NO_ADAPTERS
    lora = config.lora
    slots = lora.max_loras if isinstance(lora.max_loras, int) else _slots_by_memory(config)
    return LoraCapacity(slots=slots, cpu=max(slots, lora.max_cpu_loras or 2 * max(slots, config.expected_adapters)))


def vllm_arguments(config: ServerConfig, capacity: LoraCapacity) -> Namespace:
    """Makes the arguments of vLLM's own server for this replica. Raises ConfigError where an extra one is unknown."""
    arguments: Namespace = make_arg_parser(FlexibleArgumentParser()).parse_args([])
    for name, value in (_base(config.base) | _lora(config, capacity) | _engine(config)).items():
        setattr(arguments, name, value)
    for name, value in config.engine.arguments.items():
        if not hasattr(arguments, name):
            raise ConfigError(f"engine.arguments: vLLM has no argument '{name}'.", hint="Use its Python name.")
        setattr(arguments, name, _merged(getattr(arguments, name), value))
    if config.base.reasoning_parser:
        arguments.structured_outputs_config.reasoning_parser = config.base.reasoning_parser
    return arguments


def _merged(default: Any, value: Any) -> Any:
    """Returns `value`, or where it is a mapping for a group of vLLM's settings, that group with those changed."""
    if isinstance(value, dict) and dataclasses.is_dataclass(default) and not isinstance(default, type):
        return dataclasses.replace(default, **value)
    return value


def _base(base: BaseConfig) -> dict[str, Any]:
    return {
        "model": base.model,
        "served_model_name": [base.served_name],
        "revision": base.revision,
        "quantization": base.quantization,
        "dtype": base.dtype,
        "max_model_len": base.max_model_len,
        "chat_template": str(base.chat_template) if base.chat_template else None,
        "tool_call_parser": base.tool_call_parser,
        "enable_auto_tool_choice": base.tool_call_parser is not None,
        # Left alone, vLLM holds only tools that say `strict: true` to their schema. Clients of both APIs parse what a
        # forced tool is called with, and fail where it is no object.
        "tool_strict_level": "parameter",
        "reasoning_parser": base.reasoning_parser or "",
    } | ({} if base.task == "generate" else {"runner": "pooling"})


def _lora(config: ServerConfig, capacity: LoraCapacity) -> dict[str, Any]:
    extension = {"worker_extension_cls": "patchbay.server.vllm_worker.WorkerExtension"}
    if not config.takes_adapters:
        return extension
    return extension | {
        "enable_lora": True,
        "max_loras": capacity.slots,
        "max_cpu_loras": capacity.cpu,
        "max_lora_rank": config.lora.max_rank,
        "lora_modules": None,
        "lora_target_modules": list(_BESIDE_EXPERTS) if is_cpu() and _has_experts(config.base) else None,
    }


def _engine(config: ServerConfig) -> dict[str, Any]:
    engine = config.engine
    common = {
        "max_num_seqs": engine.max_num_seqs,
        # The router sends each request's priority, which its tenant's tier sets.
        "scheduling_policy": "priority",
        "tensor_parallel_size": engine.tensor_parallel_size,
        "enforce_eager": engine.enforce_eager,
        "enable_log_requests": False,
        "allowed_media_domains": list(_NO_MEDIA_DOMAINS),
        "use_tqdm_on_load": False,
    }
    if is_cpu():
        return common | {"kv_cache_memory_bytes": engine.kv_cache_gib * _GIB}
    return common | {"gpu_memory_utilization": engine.gpu_memory_utilization}


def _slots_by_memory(config: ServerConfig) -> int:
    shape = _shape(_read_base(config.base))
    memory = psutil.virtual_memory().available if is_cpu() else torch.cuda.mem_get_info()[0]
    cost = slot_bytes(shape, config.lora.max_rank)
    room = int(memory * config.lora.slot_memory_share)
    return slots_that_fit(cost, room, declared=config.expected_adapters, most=config.engine.max_num_seqs)


def _has_experts(base: BaseConfig) -> bool:
    config = _read_base(base)
    return any(getattr(config, name, None) for name in _EXPERTS)


def _read_base(base: BaseConfig) -> PretrainedConfig:
    try:
        config = AutoConfig.from_pretrained(base.model, revision=base.revision)
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise StartError(f"The base model {base.model} does not load: {reason}", hint=_base_hint(base)) from error
    return config.get_text_config()


def _base_hint(base: BaseConfig) -> str:
    if Path(base.model).is_absolute() or base.model.startswith("."):
        return "Give a folder with a Hugging Face model (config.json, *.safetensors, a tokenizer) as base.model."
    return "Give a Hugging Face model id that this machine can reach, or a folder, as base.model."


def _shape(config: PretrainedConfig) -> BaseShape:
    hidden = int(config.hidden_size)
    heads = int(getattr(config, "num_attention_heads", 1))
    head_size = int(getattr(config, "head_dim", None) or hidden // heads)
    return BaseShape(
        layers=int(config.num_hidden_layers),
        hidden=hidden,
        intermediate=int(getattr(config, "intermediate_size", None) or 4 * hidden),
        attention_width=heads * head_size,
        kv_width=int(getattr(config, "num_key_value_heads", None) or heads) * head_size,
        vocabulary=int(config.vocab_size),
    )
