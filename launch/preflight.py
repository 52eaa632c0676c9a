"""Checks of the base and the declared adapters before anything is started: a wrong path should not cost a minute."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from patchbay.adapters.checks.base import BaseLayout
from patchbay.adapters.config import DeclaredAdapter
from patchbay.adapters.inspection import Requirements, inspect
from patchbay.adapters.sources.place import Fetched, split_pick
from patchbay.adapters.workdir import workdir
from patchbay.core.errors import AdapterError, ArtifactError, ConfigError
from patchbay.core.setting_faults import Fault
from patchbay.launch.config import PatchbayConfig
from patchbay.server.config import BaseConfig

# Source: huggingface_hub's `validate_repo_id`.
_HUB_ID: Final = re.compile(r"[\w.-]+(?:/[\w.-]+)?", re.ASCII)


def base_fault(base: BaseConfig) -> str | None:
    """Returns why the base can be neither a folder on this machine nor a model of a hub, and what to write; None where
    it can be."""
    folder = Path(base.model).expanduser()
    if folder.is_dir():
        if (folder / "config.json").is_file():
            return None
        return f"the folder {folder} has no config.json, so no Hugging Face model is in it: write the folder of one"
    if "://" in base.model or _HUB_ID.fullmatch(base.model):
        return None
    if base.model.startswith(("/", ".", "~")) or base.model.count("/") > 1:
        return f"there is no folder {folder}: write the folder of a model, or a Hugging Face id such as org/model"
    return f"'{base.model[:200]}' is no folder and no Hugging Face id: write ./FOLDER, or an id such as org/model"


def adapter_faults(config: PatchbayConfig, *, base_is_known: bool = True) -> Iterator[Fault]:
    """Yields the declared adapters whose folder is not there, or does not pass the checks.

    Adapters behind a URL or in an archive are checked when they are fetched. `base_is_known`: whether they must fit
    the configuration's base.
    """
    local = {name: adapter for name, adapter in config.adapters.items() if "://" not in adapter.source}
    base = _layout(config.base) if local and base_is_known else None
    for name, adapter in local.items():
        if (why := _adapter_fault(adapter, config, base)) is not None:
            yield Fault(("adapters", name, "source"), why)


def _adapter_fault(adapter: DeclaredAdapter, config: PatchbayConfig, base: BaseLayout | None) -> str | None:
    place, pick = split_pick(adapter.source)
    path, own = Path(place).expanduser(), config.registry
    if not path.exists():
        return f"there is no folder and no archive {path}: write the path of an adapter, or its URL"
    if path.is_file():
        return None
    demands = Requirements(own.limits, config.lora.max_rank, own.signing, own.sources, base)
    try:
        with workdir("check") as aside:
            inspect(Fetched(path, pick), demands, workdir=aside)
    except (AdapterError, ArtifactError, ConfigError) as error:
        return str(error).rstrip(".")
    return None


def _layout(base: BaseConfig) -> BaseLayout | None:
    return BaseLayout.of_folder(Path(base.model).expanduser(), chat_template=base.chat_template)
