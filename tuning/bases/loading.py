"""The loader of a base model as it serves, for training over it and for measuring it."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from patchbay.core.errors import ConfigError

if TYPE_CHECKING:
    import torch


def served_model(folder: Path, *, dtype: "torch.dtype | None" = None) -> Any:
    """Loads the causal model in `folder` with the weights that serve: an int4 base is dequantized, so its errors of
    rounding are in what is trained and measured (as QLoRA does: Dettmers et al., arXiv 2305.14314).

    `dtype`: of the weights in memory, float32 by default. Reads local files alone. Raises ConfigError where the folder
    holds no such model.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, CompressedTensorsConfig

    try:
        config = AutoConfig.from_pretrained(str(folder), local_files_only=True)
        packed = getattr(config, "quantization_config", None) is not None
        # PEFT cannot adapt layers that stay packed.
        how = {"quantization_config": CompressedTensorsConfig(run_compressed=False)} if packed else {}
        return AutoModelForCausalLM.from_pretrained(
            str(folder), local_files_only=True, dtype=dtype or torch.float32, **how
        )
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(
            f"{folder} cannot be loaded as a base model: {error}",
            hint="Give the folder of a base model that transformers reads, such as `patchbay models import` makes.",
        ) from error


def served_tokenizer(folder: Path) -> Any:
    """Loads the tokenizer in `folder`, with its chat template. Raises ConfigError where there is none."""
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(f"{folder} has no tokenizer that can be loaded: {error}") from error
