"""The routes, guards and pools in a configuration file, for the commands that start canaries."""

from pathlib import Path
from typing import Any

from patchbay.adapters.commands.session import DEFAULT_FILE
from patchbay.core.settings import load_yaml, parse_settings
from patchbay.router.canary.config import CanaryConfig
from patchbay.router.canary.served import Served, served_of
from patchbay.router.settings.config import PolicyConfig, ReplicaConfig

# A file without either key is not a server's configuration, and says nothing about what is served.
_SERVERS_KEYS = ("base", "replicas")


def served_by(file: Path | None) -> Served | None:
    """Returns what `file` has routers serve, None where no file says it.

    `file`: a router's own or a patchbay.yaml, by default ./patchbay.yaml where it exists. Raises ConfigError.
    """
    path = file or DEFAULT_FILE
    if file is None and not path.exists():
        return None
    data = load_yaml(path)
    if not any(key in data for key in _SERVERS_KEYS):
        return None
    known = {key: value for key, value in data.items() if key in PolicyConfig.model_fields}
    policy = parse_settings(PolicyConfig, known, source=str(path), file=path)
    pools, reserved = _pools(data, path), _reserved(data, path)
    return served_of(policy, votes=_takes_votes(data), pools=pools, reserved=reserved)


def _takes_votes(data: dict[str, Any]) -> bool:
    section = data.get("router") if "base" in data else data
    return not isinstance(section, dict) or section.get("feedback_ids") != 0


def _pools(data: dict[str, Any], path: Path) -> frozenset[str]:
    """Returns the pools that the file gives its replicas. Raises ConfigError."""
    listed = data.get("replicas")
    entries = listed if isinstance(listed, list) else [{"url": "http://127.0.0.1:9001"}]
    replicas = [
        parse_settings(ReplicaConfig, {"url": entry} if isinstance(entry, str) else entry, source=f"{path}: replicas")
        for entry in entries
    ]
    return frozenset(replica.pool for replica in replicas)


def _reserved(data: dict[str, Any], path: Path) -> frozenset[str]:
    """Returns the pools that the file reserves. Raises ConfigError."""
    canary = parse_settings(CanaryConfig, data.get("canary") or {}, source=f"{path}: canary")
    return frozenset(canary.reserved_pools)
