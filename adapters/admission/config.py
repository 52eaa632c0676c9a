"""adapter_config.json: a LoRA that vLLM serves, and no other kind.

Source of what vLLM 0.32.0 refuses: its vllm/lora/peft_helper.py. rsLoRA it serves.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from adapters.errors import AdapterError

_MAX_CONFIG_BYTES = 1024 * 1024
_UNSERVED: Mapping[str, str] = {
    "use_dora": "DoRA",
    "lora_bias": "a LoRA bias",
    "alora_invocation_tokens": "activated LoRA",
    "layer_replication": "layer replication",
    "use_bdlora": "block-diagonal LoRA",
    "use_qalora": "QALoRA",
    "modules_to_save": "modules saved whole beside the LoRA",
}
# These only set the weights that training began with; any other name means that the base was changed, too.
_PLAIN_INITS = frozenset({"gaussian", "eva", "orthogonal", "mica", "lora_ga"})


@dataclass(frozen=True, slots=True)
class LoraSettings:
    """What the configuration says: the rank and its exceptions by pattern, alpha, and the modules meant."""

    rank: int
    alpha: float
    rank_pattern: Mapping[str, int] = field(default_factory=dict)
    targets: tuple[str, ...] = ()

    def rank_of(self, module: str) -> int:
        """The rank of `module`. A pattern matches from a dot on, the first one wins, as in PEFT's get_pattern_key."""
        for pattern, rank in self.rank_pattern.items():
            if re.fullmatch(rf"(.*\.)?({pattern})", module):
                return rank
        return self.rank


def read_config(path: Path, *, max_rank: int) -> LoraSettings:
    """The settings in the file at `path`. Raises AdapterError that names the key and what was expected."""
    config = _load(path)
    if config.get("peft_type") != "LORA":
        raise AdapterError(f"{path}: peft_type is {config.get('peft_type')!r}, expected 'LORA'.")
    _refuse_unserved(config, path)
    pattern = _mapping(config, "rank_pattern", path)
    rank = _rank(config.get("r"), "r", path)
    ranks = {name: _rank(value, f"rank_pattern of {name}", path) for name, value in pattern.items()}
    largest = max(rank, *ranks.values()) if ranks else rank
    if largest > max_rank:
        raise AdapterError(
            f"{path}: the rank is {largest}, but this server takes at most {max_rank}.", hint="Raise lora.max_rank."
        )
    _check_patterns(ranks, path)
    for name, value in _mapping(config, "alpha_pattern", path).items():
        _alpha(value, f"alpha_pattern of {name}", path)
    return LoraSettings(rank, _alpha(config.get("lora_alpha"), "lora_alpha", path), ranks, _targets(config, path))


def _load(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _MAX_CONFIG_BYTES:
            raise AdapterError(f"{path} is larger than {_MAX_CONFIG_BYTES} bytes.")
        config = json.loads(path.read_bytes())
    except OSError as error:
        hint = "Give a folder that PEFT saved."
        raise AdapterError(f"{path} cannot be read: {error.strerror}.", hint=hint) from error
    except (ValueError, RecursionError) as error:
        raise AdapterError(f"{path} is not valid JSON.") from error
    if not isinstance(config, dict):
        raise AdapterError(f"{path} must hold a JSON object.")
    return config


def _refuse_unserved(config: Mapping[str, Any], path: Path) -> None:
    for key, what in _UNSERVED.items():
        if config.get(key):
            raise AdapterError(f"{path}: {key} is set, but {what} cannot be served.", hint="Train it as a plain LoRA.")
    if config.get("bias", "none") != "none":
        raise AdapterError(f"{path}: bias is {config['bias']!r}, expected 'none'.", hint="Train it without biases.")
    init = config.get("init_lora_weights", True)
    if isinstance(init, str) and init.lower() not in _PLAIN_INITS:
        raise AdapterError(
            f"{path}: init_lora_weights is {init!r}, which changes the base's weights, too.",
            hint="Convert it with PEFT's path_initial_model_for_weight_conversion.",
        )


def _mapping(config: Mapping[str, Any], key: str, path: Path) -> dict[str, Any]:
    value = config.get(key) or {}
    if not isinstance(value, dict):
        raise AdapterError(f"{path}: {key} must be a mapping.")
    return value


def _rank(value: Any, what: str, path: Path) -> int:
    if type(value) is not int or value < 1:
        raise AdapterError(f"{path}: the rank {what} is {value!r}, expected a whole number of at least 1.")
    return value


def _alpha(value: Any, what: str, path: Path) -> float:
    if type(value) not in (int, float) or not math.isfinite(value):
        raise AdapterError(f"{path}: {what} is {value!r}, expected a finite number.")
    return float(value)


def _check_patterns(patterns: Mapping[str, int], path: Path) -> None:
    for pattern in patterns:
        try:
            re.compile(pattern)
        except re.error as error:
            raise AdapterError(f"{path}: rank_pattern {pattern!r} is no regular expression: {error}.") from error


def _targets(config: Mapping[str, Any], path: Path) -> tuple[str, ...]:
    targets = config.get("target_modules")
    if isinstance(targets, str) and targets:
        return ()
    if isinstance(targets, list) and targets and all(isinstance(name, str) for name in targets):
        return tuple(targets)
    raise AdapterError(f"{path}: target_modules must be a text, or a list of at least one text.")
