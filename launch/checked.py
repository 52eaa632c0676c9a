"""The loading of a configuration with all that can be checked before a start: `config check`, `doctor` and `up` share
it."""

from dataclasses import dataclass
from pathlib import Path

from patchbay.launch.config import Overrides, PatchbayConfig, load_config
from patchbay.launch.fitness import check_fit, doubts_of
from patchbay.router.settings.config import PolicyConfig, RouterConfig
from patchbay.router.settings.config_file import load_router_config
from patchbay.router.settings.policy import compiled_policy, user_cache

_ANY_REPLICA = "http://127.0.0.1:9001"


@dataclass(frozen=True, slots=True)
class CheckedConfig:
    """A configuration that can be started. `doubts`: what it names and nothing has yet, in words."""

    config: PatchbayConfig
    doubts: tuple[str, ...] = ()


def checked(file: Path) -> CheckedConfig:
    """Loads the patchbay.yaml `file`, and makes all checks on it but those of the engine. Raises ConfigError."""
    config = checked_config(file, Overrides())
    _compile(config, file)
    return CheckedConfig(config, tuple(doubts_of(config)))


def checked_router(file: Path) -> RouterConfig:
    """Loads a router's own `file`, and makes all checks on it. Raises ConfigError."""
    config = load_router_config(file, {}, [_ANY_REPLICA])
    _compile(config, file)
    return config


def checked_config(file: Path | None, overrides: Overrides) -> PatchbayConfig:
    """Loads the configuration as `patchbay up` does. Raises ConfigError where it can never be served as it is."""
    config = load_config(file, overrides)
    check_fit(config, source=str(file or "the command line"), file=file)
    return config


def _compile(config: PolicyConfig, file: Path) -> None:
    compiled_policy(config, user_cache(), file.absolute().parent)
