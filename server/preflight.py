"""What can be found wrong before vLLM is imported, in milliseconds instead of half a minute."""

from pathlib import Path

from adapters.admission.base import BaseLayout
from adapters.admission.gate import check_folder
from adapters.errors import AdapterError, StartError
from server.config import BaseConfig, ServerConfig


def check_start(config: ServerConfig) -> None:
    """Raises StartError where the base model's folder or an adapter's cannot be served."""
    _check_base(config.base)
    base = base_layout(config.base)
    for name, adapter in config.adapters.items():
        try:
            check_folder(adapter.path, max_rank=config.lora.max_rank, base=base)
        except AdapterError as error:
            raise StartError(f"The adapter '{name}' cannot be served: {error}") from error


def base_layout(base: BaseConfig) -> BaseLayout | None:
    """What the base model has, read from its folder's headers; None for a hub's id, whose files are not here yet."""
    return BaseLayout.of_folder(Path(base.model).expanduser(), chat_template=base.chat_template)


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
    """Whether `model` can only be a path: a hub's id is `name` or `organisation/name`."""
    return model.startswith(("/", ".", "~")) or model.count("/") > 1
