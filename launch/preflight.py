"""Checks of the declared adapters before anything is started: a wrong path should not cost a minute."""

from pathlib import Path

from patchbay.adapters.checks.base import BaseLayout
from patchbay.adapters.inspection import Requirements, inspect
from patchbay.adapters.sources.place import Fetched, split_pick
from patchbay.adapters.workdir import workdir
from patchbay.core.errors import AdapterError, StartError
from patchbay.launch.config import PatchbayConfig


def check_declared(config: PatchbayConfig) -> None:
    """Raises StartError where a declared adapter's folder does not exist, or does not pass the checks.

    Adapters behind a URL or in an archive are checked when they are fetched.
    """
    local = {name: adapter.source for name, adapter in config.adapters.items() if "://" not in adapter.source}
    base = _base(config) if local else None
    for name, source in local.items():
        try:
            _check(source, config, base)
        except AdapterError as error:
            raise StartError(f"The adapter '{name}' cannot be served: {error}") from error


def _check(source: str, config: PatchbayConfig, base: BaseLayout | None) -> None:
    place, pick = split_pick(source)
    path, own = Path(place).expanduser(), config.registry
    if not path.is_file():
        demands = Requirements(own.limits, config.lora.max_rank, own.signing, own.sources, base)
        with workdir("check") as aside:
            inspect(Fetched(path, pick), demands, workdir=aside)


def _base(config: PatchbayConfig) -> BaseLayout | None:
    return BaseLayout.of_folder(Path(config.base.model).expanduser(), chat_template=config.base.chat_template)
