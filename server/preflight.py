"""Checks of the base model before vLLM is imported, which take milliseconds instead of half a minute."""

from pathlib import Path

from patchbay.adapters.checks.base import BaseLayout
from patchbay.adapters.sources.hub_cache import cached_model
from patchbay.core.errors import ConfigError, StartError
from patchbay.server.config import BaseConfig, ServerConfig
from patchbay.server.quantization import quantization_fault


def check_start(config: ServerConfig) -> None:
    """Raises StartError where the base model's folder cannot be served, ConfigError where it cannot be as it is asked
    for."""
    _check_base(config.base)
    folder = _folder(config.base)
    if config.base.quantization and (why := quantization_fault(config.base.quantization, folder)):
        raise ConfigError(f"base.quantization: {why}.")


def base_layout(base: BaseConfig) -> BaseLayout | None:
    """Reads the base model's layout from its folder, or from the cache of the hub's client.

    Returns None where the model is not on this machine, or has no safetensors.
    """
    return BaseLayout.of_folder(_folder(base), chat_template=base.chat_template)


def _folder(base: BaseConfig) -> Path:
    """Returns the base model's folder, in the cache of the hub's client where it is there; it need not exist."""
    folder = Path(base.model).expanduser()
    if not folder.is_dir() and not _is_path(base.model):
        folder = cached_model(base.model, base.revision) or folder
    return folder


def _check_base(base: BaseConfig) -> None:
    folder = Path(base.model).expanduser()
    if not folder.is_dir():
        if _is_path(base.model):
            raise StartError(f"The base model's folder {base.model} does not exist.", hint="Correct base.model.")
        return
    if not (folder / "config.json").is_file():
        raise StartError(
            f"The base model's folder {base.model} has no config.json.", hint="Give a folder with a Hugging Face model."
        )


def _is_path(model: str) -> bool:
    """Says whether `model` can only be a path: a hub's id is `name` or `organisation/name`."""
    return model.startswith(("/", ".", "~")) or model.count("/") > 1
