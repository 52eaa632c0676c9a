"""The check of adapter_config.json, as PEFT writes it and as vLLM 0.32 serves it.

Whatever vLLM refuses (vllm/lora/peft_helper.py) is refused here in the same cases, only sooner.
"""

import codecs
import math
import re
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from patchbay.adapters.checks.folder import FolderLimits, read_bounded
from patchbay.adapters.checks.strict_json import decode, shown
from patchbay.adapters.contents import CONFIG_FILE
from patchbay.core.errors import AdapterError

CLASSIFIER_MODULES = frozenset({"classifier", "score"})
# These only set the first weights; others, such as PiSSA, change the base's when PEFT loads the adapter.
_INITS = frozenset({"gaussian", "eva", "orthogonal", "mica", "lora_ga"})
_MAX_PATTERN = 200
# What to do with an adapter that no engine serves beside others.
FOLD_HINT = "Merge it into a base of its own: patchbay adapters push SOURCE --name NAME --fold FOLDER."
# The way for what `--fold` cannot merge either, and PEFT can, which needs the whole base in memory.
PEFT_HINT = (
    "Merge it by PEFT, and serve the result as base.model: peft.AutoPeftModelForCausalLM.from_pretrained('ADAPTER')"
    ".merge_and_unload().save_pretrained('NEW-BASE'); or train a LoRA."
)
# What vLLM does not serve, and a merge into the base can hold.
_MERGED = {"use_dora": "DoRA", "lora_bias": "a LoRA with a bias", "trainable_token_indices": "trained rows of tokens"}
_UNSERVED = {
    "alora_invocation_tokens": (
        "an activated LoRA (aLoRA)",
        "It acts behind its invocation tokens alone, which no weights can hold: train a plain LoRA.",
    ),
    "layer_replication": ("layer replication", PEFT_HINT),
    "use_bdlora": ("a block-diagonal LoRA (BD-LoRA)", PEFT_HINT),
    "use_qalora": ("QALoRA", PEFT_HINT),
}


@dataclass(frozen=True, slots=True)
class LoraSettings:
    """The settings in an adapter_config.json.

    Which modules it has is said by the tensors alone, as engines have it: PEFT itself lists targets that no module has.

    `rank_pattern`, `alpha_pattern`: ranks and alphas by the pattern of a module's name; `saved`: modules that are saved
    whole; `transposed`: whether the base stores the weights as [in, out] (`fan_in_fan_out`); `rank_stabilized`: rsLoRA.
    """

    rank: int
    alpha: float
    rank_pattern: Mapping[str, int]
    saved: frozenset[str]
    transposed: bool
    alpha_pattern: Mapping[str, float]
    rank_stabilized: bool

    @property
    def largest_rank(self) -> int:
        """The largest rank of any module."""
        return max(self.rank, *self.rank_pattern.values()) if self.rank_pattern else self.rank

    def rank_of(self, module: str) -> int:
        """Returns the rank of `module`."""
        return int(_matching(self.rank_pattern, module, self.rank))

    def scale_of(self, module: str) -> float:
        """Returns the factor by which the product of `module`'s matrices is multiplied."""
        rank, alpha = self.rank_of(module), _matching(self.alpha_pattern, module, self.alpha)
        return alpha / math.sqrt(rank) if self.rank_stabilized else alpha / rank


def _matching(patterns: Mapping[str, float], module: str, default: float) -> float:
    """Returns the value of the first pattern that matches the end of the module's name from a dot on, as PEFT has
    it."""
    for pattern, value in patterns.items():
        if re.match(rf"(.*\.)?({pattern})$", module):
            return value
    return default


def read_config(folder: Path, *, max_rank: int, limits: FolderLimits) -> LoraSettings:
    """Reads and checks the adapter_config.json in `folder`.

    Raises AdapterError where it is no LoRA that vLLM serves, or where a rank is over `max_rank`.
    """
    path = folder / CONFIG_FILE
    config = read_document(folder, limits)
    if read_bounded(path, limits.config_bytes).startswith(codecs.BOM_UTF8):
        raise AdapterError(
            f"{path} begins with a byte order mark, which no engine reads.", hint="Save it without, and sign it again."
        )
    check_is_lora(config, path)
    _check_served(config, path)
    _check_targets(config, path)
    settings = settings_of(config, path, saved=_saved(config, path))
    if settings.largest_rank > max_rank:
        raise AdapterError(
            f"{path}: the rank is {settings.largest_rank}, but this server takes at most {max_rank}.",
            hint="Raise lora.max_rank.",
        )
    return settings


def check_is_lora(config: Mapping[str, Any], path: Path) -> None:
    """Raises AdapterError where the adapter_config.json at `path` is another method's than LoRA."""
    if config.get("peft_type") != "LORA":
        raise AdapterError(
            f"{path}: peft_type is {reprlib.repr(config.get('peft_type'))}, expected 'LORA'.", hint=PEFT_HINT
        )


def settings_of(config: Mapping[str, Any], path: Path, *, saved: frozenset[str]) -> LoraSettings:
    """Reads the settings in the adapter_config.json at `path`, whether an engine serves them or not.

    `saved`: the modules that are saved whole. Raises AdapterError where one has no meaning.
    """
    alphas = {
        key: _alpha(alpha, f"alpha_pattern of '{shown(key)}'", path)
        for key, alpha in _pattern(config, "alpha_pattern", path).items()
    }
    return LoraSettings(
        rank=_rank(config.get("r"), path),
        alpha=_alpha(config.get("lora_alpha"), "lora_alpha", path),
        rank_pattern={key: _rank(rank, path) for key, rank in _pattern(config, "rank_pattern", path).items()},
        saved=saved,
        transposed=_flag(config, "fan_in_fan_out", path),
        alpha_pattern=alphas,
        rank_stabilized=_flag(config, "use_rslora", path),
    )


def read_document(folder: Path, limits: FolderLimits) -> dict[str, Any]:
    """Reads the adapter_config.json in `folder` as it stands. Raises AdapterError where it is no JSON object."""
    path = folder / CONFIG_FILE
    raw = read_bounded(path, limits.config_bytes)
    try:
        config = decode(raw)
    except ValueError as error:
        raise AdapterError(f"{path} is not valid JSON: {error}.", hint="Give a folder that PEFT saved.") from error
    if not isinstance(config, dict):
        raise AdapterError(f"{path} must hold a JSON object.", hint="Give a folder that PEFT saved.")
    return config


def _check_served(config: Mapping[str, Any], path: Path) -> None:
    check_merges(config, path)
    for key, name in _MERGED.items():
        if config.get(key):
            raise AdapterError(f"{path}: {key} is set, but vLLM does not serve {name}.", hint=FOLD_HINT)
    bias = config.get("bias", "none")
    if bias != "none":
        raise AdapterError(
            f"{path}: bias is {reprlib.repr(bias)}, expected 'none': vLLM serves no adapter's bias.", hint=FOLD_HINT
        )


def check_merges(config: Mapping[str, Any], path: Path) -> None:
    """Raises AdapterError where an adapter can be served neither beside others nor by `--fold`, and says how else."""
    for key, (name, hint) in _UNSERVED.items():
        if config.get(key):
            raise AdapterError(f"{path}: {key} is set, but vLLM does not serve {name}.", hint=hint)
    init = config.get("init_lora_weights", True)
    if isinstance(init, str) and init.lower() not in _INITS:
        raise AdapterError(
            f"{path}: init_lora_weights is {reprlib.repr(init)}, which changes the base's own weights; vLLM does not.",
            hint=f"Convert it with PEFT's path_initial_model_for_weight_conversion. {PEFT_HINT}",
        )


def _saved(config: Mapping[str, Any], path: Path) -> frozenset[str]:
    saved = config.get("modules_to_save") or []
    if not _is_names(saved) or not CLASSIFIER_MODULES.issuperset(saved):
        raise AdapterError(
            f"{path}: modules_to_save is {reprlib.repr(saved)}, expected none of them: vLLM serves only a LoRA's own "
            "weights, and a classifier's head.",
            hint=FOLD_HINT,
        )
    return frozenset(saved)


def _rank(rank: object, path: Path) -> int:
    if type(rank) is not int or rank < 1:
        raise AdapterError(f"{path}: the rank r is {reprlib.repr(rank)}, expected a whole number of at least 1.")
    return rank


def _alpha(alpha: object, key: str, path: Path) -> float:
    if isinstance(alpha, bool) or not isinstance(alpha, int | float):
        raise AdapterError(f"{path}: {key} is {reprlib.repr(alpha)}, expected a number.")
    try:
        number = float(alpha)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise AdapterError(f"{path}: {key} is {reprlib.repr(alpha)}, expected a finite number.")
    return number


def _flag(config: Mapping[str, Any], key: str, path: Path) -> bool:
    value = config.get(key) or False
    if not isinstance(value, bool):
        raise AdapterError(f"{path}: {key} is {reprlib.repr(value)}, expected true or false.")
    return value


def _check_targets(config: Mapping[str, Any], path: Path) -> None:
    """Checks that an engine can read the targets; which there are, the tensors say."""
    targets = config.get("target_modules")
    if not isinstance(targets, str) and not _is_names(targets):
        raise AdapterError(
            f"{path}: target_modules is {reprlib.repr(targets)}, expected a list of modules' names, or a pattern."
        )


def _is_names(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) and name for name in value)


def _pattern(config: Mapping[str, Any], key: str, path: Path) -> dict[str, Any]:
    pattern = config.get(key) or {}
    if not isinstance(pattern, dict):
        raise AdapterError(f"{path}: {key} is {reprlib.repr(pattern)}, expected an object.")
    for name in pattern:
        if not is_bounded(name):
            raise AdapterError(
                f"{path}: {key} has the pattern '{shown(name)}', expected a module's name or a simple pattern for it.",
                hint="Write one entry for each module.",
            )
    return pattern


def is_bounded(pattern: str) -> bool:
    """Whether matching `pattern` takes bounded time, here and in the engine.

    That allows two repetitions, and none of a group: nested ones take a regular expression exponential time.
    """
    if len(pattern) > _MAX_PATTERN or len(re.findall(r"[*+{]", pattern)) > 2 or re.search(r"\)[*+?{]", pattern):
        return False
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError):
        return False
    return True
