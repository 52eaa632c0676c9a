"""What a configuration file says that routers serve, for the commands that start canaries."""

from pathlib import Path
from typing import Any

from patchbay.adapters.commands.session import DEFAULT_FILE
from patchbay.core.settings import load_yaml, parse_settings
from patchbay.router.canary.config import CanaryConfig
from patchbay.router.canary.served import Served, served_of
from patchbay.router.settings.config import PolicyConfig, ReplicaConfig

# A file that has neither is not the servers', and says nothing of what they serve.
_SERVERS_KEYS = ("base", "replicas")


def served_by(file: Path | None) -> Served | None:
    """What `file` has routers serve, a router's own or a patchbay.yaml, or ./patchbay.yaml where that is there; None
    where no file tells. Raises ConfigError."""
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
    """The pools that the file names at replicas. Raises ConfigError."""
    told = data.get("replicas")
    entries = told if isinstance(told, list) else [{"url": "http://127.0.0.1:9001"}]
    replicas = [
        parse_settings(ReplicaConfig, {"url": one} if isinstance(one, str) else one, source=f"{path}: replicas")
        for one in entries
    ]
    return frozenset(one.pool for one in replicas)


def _reserved(data: dict[str, Any], path: Path) -> frozenset[str]:
    """The pools that the file reserves. Raises ConfigError."""
    canary = parse_settings(CanaryConfig, data.get("canary") or {}, source=f"{path}: canary")
    return frozenset(canary.reserved_pools)
