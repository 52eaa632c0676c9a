"""The router's own configuration file, in which relative paths are relative to the file, as in all others."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from patchbay.adapters.config import absolute_url, registry_section, with_sources
from patchbay.core.settings import load_yaml, parse_settings
from patchbay.router.settings.config import RouterConfig


def load_router_config(file: Path | None, flags: Mapping[str, Any], replicas: Sequence[str] = ()) -> RouterConfig:
    """Reads a router's own configuration: what `file` says, and `flags` over it.

    `replicas`: those where neither names any. Raises ConfigError.
    """
    data = {} if file is None else _with_absolute_paths(load_yaml(file), file.absolute().parent)
    if file is not None:
        data = {"policy_file": str(file.absolute()), **data}
    settings = {"replicas": replicas, **data, **flags}
    return parse_settings(RouterConfig, settings, source=str(file or "the command line"), file=file)


def _with_absolute_paths(data: dict[str, Any], folder: Path) -> dict[str, Any]:
    """`data` with the registry's and the adapters' paths made absolute, so that the router and the commands that are
    given the same file mean the same registry, wherever either runs. What is of the wrong type stays, for the models to
    refuse."""
    changed: dict[str, Any] = {}
    if "registry" in data:
        changed["registry"] = registry_section(data, folder)
    adapters = with_sources(data.get("adapters"))
    if isinstance(adapters, dict):
        changed["adapters"] = {name: _with_absolute_source(entry, folder) for name, entry in adapters.items()}
    return data | changed


def _with_absolute_source(entry: Any, folder: Path) -> Any:
    if not isinstance(entry, dict) or not isinstance(entry.get("source"), str):
        return entry
    return entry | {"source": absolute_url(entry["source"], folder)}
