"""Checks of the base model before vLLM is imported, which take milliseconds instead of half a minute."""

from pathlib import Path

from patchbay.adapters.checks.base import BaseLayout
from patchbay.core.errors import StartError
from patchbay.server.config import BaseConfig, ServerConfig


def check_start(config: ServerConfig) -> None:
    """Raises StartError where the base model's folder cannot be served."""
    _check_base(config.base)


def base_layout(base: BaseConfig) -> BaseLayout | None:
    """Reads the base model's layout from its folder, or from the cache of the hub's client.

    Returns None where the model is not on this machine, or has no safetensors.
    """
    folder = Path(base.model).expanduser()
    if not folder.is_dir() and not _is_path(base.model):
        folder = _hub_folder(base) or folder
    return BaseLayout.of_folder(folder, chat_template=base.chat_template)


def _hub_folder(base: BaseConfig) -> Path | None:
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError
    except ImportError:
        return None
    try:
        return Path(snapshot_download(base.model, revision=base.revision, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError, OSError):
        return None


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
