"""The router's own configuration file, in which relative paths are relative to the file, as in all others."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from patchbay.adapters.config import data_home, registry_section
from patchbay.core.setting_faults import Examined, refusal
from patchbay.core.settings import examine_settings, load_yaml
from patchbay.router.settings.config import RouterConfig

# The replica that a file is examined with whose own are not in order.
_STAND_IN = "http://127.0.0.1:9"


def load_router_config(file: Path | None, flags: Mapping[str, Any], replicas: Sequence[str] = ()) -> RouterConfig:
    """Reads a router's own configuration: what `file` says, and `flags` over it.

    `replicas`: those where neither names any. Raises ConfigError.
    """
    examined = examine_router_config(file, flags, replicas)
    if examined.settings is None or examined.faults:
        raise refusal(str(file or "the command line"), examined.faults, file=file)
    return examined.settings


def examine_router_config(
    file: Path | None, flags: Mapping[str, Any], replicas: Sequence[str] = ()
) -> Examined[RouterConfig]:
    """Reads a router's own configuration as `load_router_config` does, and returns what is in order with the faults of
    the rest. Raises ConfigError where `file` cannot be read at all."""
    data = {} if file is None else load_yaml(file)
    if file is not None:
        data = {"policy_file": str(file.absolute()), **_with_project(data, file.absolute().parent)}
    settings = {"replicas": replicas, **data, **flags}
    return examine_settings(RouterConfig, settings, file=file, stand_ins={"replicas": [_STAND_IN]})


def _with_project(data: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Returns `data` with the places of the registry that it does not say, so that the router and the commands that are
    given the same file mean the same, wherever either runs. What is of the wrong type stays for the models to refuse.
    """
    if "registry" not in data:
        return data
    changed = {"registry": registry_section(data, folder)}
    if isinstance(canary := data.get("canary") or {}, dict):
        changed["canary"] = {"incidents": str(data_home(data, folder) / "incidents"), **canary}
    return data | changed
