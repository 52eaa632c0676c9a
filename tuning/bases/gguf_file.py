"""The reader of GGUF files: weights, tokenizer with its chat template, and configuration, as transformers has them."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from patchbay.core.distribution import translated_imports
from patchbay.core.errors import ConfigError


@dataclass(frozen=True, slots=True)
class ReadBase:
    """A base that was read: `model` in float32, its `tokenizer`, and the `licence` that the file names, if any."""

    model: Any
    tokenizer: Any
    licence: str | None


def read_gguf(path: Path) -> ReadBase:
    """Reads the base in the GGUF file `path`. Raises ConfigError where it is none, or of a kind that is not read."""
    with translated_imports():
        import gguf  # noqa: F401 - transformers says less clearly that it is missing
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer
    if not path.is_file():
        raise ConfigError(f"{path} is not there.", hint="Give the path of a GGUF file.")
    how: Any = {"gguf_file": path.name, "local_files_only": True}
    with _translated(path), _quiet():
        licence = _licence(path)
        tokenizer = AutoTokenizer.from_pretrained(str(path.parent), **how)
        loaded = AutoModelForCausalLM.from_pretrained(str(path.parent), dtype=torch.float32, **how)
    return ReadBase(_fresh(loaded), tokenizer, licence)


def _fresh(loaded: Any) -> Any:
    """Moves the weights into a model that knows nothing of GGUF: the loaded one refuses to be saved."""
    config = loaded.config
    generation = loaded.generation_config
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    config._name_or_path = ""  # noqa: SLF001 - transformers' own field, which would name a folder
    fresh = type(loaded)(config)
    fresh.load_state_dict(loaded.state_dict())
    fresh.generation_config = generation
    return fresh.eval()


def _licence(path: Path) -> str | None:
    from gguf import GGUFReader

    field = GGUFReader(path).get_field("general.license")
    return str(field.contents()) if field is not None else None


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, KeyError, IndexError, NotImplementedError, RuntimeError) as error:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise ConfigError(
            f"{path} cannot be read as a GGUF model: {reason}",
            hint="Is the file whole, and of an architecture that transformers reads from GGUF?",
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps the loader's own bars and warnings away from ours."""
    from transformers import modeling_gguf_pytorch_utils as loader
    from transformers.utils import logging as loud

    level, bars, shown = loud.get_verbosity(), loud.is_progress_bar_enabled(), loader.tqdm
    loud.set_verbosity(logging.ERROR)
    loud.disable_progress_bar()
    loader.tqdm = lambda items, **_: items
    try:
        yield
    finally:
        loud.set_verbosity(level)
        loader.tqdm = shown
        if bars:
            loud.enable_progress_bar()
