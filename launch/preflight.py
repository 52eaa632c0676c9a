"""Checks of the declared adapters before anything is started: a wrong path should not cost a minute."""

from pathlib import Path

from patchbay.adapters.checks.base import BaseLayout
from patchbay.adapters.checks.check import check_folder
from patchbay.core.errors import AdapterError, StartError
from patchbay.launch.config import PatchbayConfig


def check_declared(config: PatchbayConfig) -> None:
    """Raises StartError where a declared adapter's folder does not exist, or does not pass the checks.

    Adapters behind a URL or in an archive are checked when they are fetched.
    """
    local = {name: Path(adapter.source) for name, adapter in config.adapters.items() if "://" not in adapter.source}
    base = _base(config) if local else None
    for name, path in local.items():
        try:
            if not path.is_file():
                check_folder(path, max_rank=config.lora.max_rank, base=base, limits=config.registry.limits)
        except AdapterError as error:
            raise StartError(f"The adapter '{name}' cannot be served: {error}") from error


def _base(config: PatchbayConfig) -> BaseLayout | None:
    return BaseLayout.of_folder(Path(config.base.model).expanduser(), chat_template=config.base.chat_template)
