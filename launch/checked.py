"""The loading of a configuration with all that can be checked before a start: `config check`, `doctor` and `up` share
it."""

from dataclasses import dataclass
from pathlib import Path

from patchbay.adapters.config import is_of_up
from patchbay.core.setting_faults import refusal
from patchbay.core.settings import load_yaml
from patchbay.launch.config import Overrides, PatchbayConfig, examine_config, source_of
from patchbay.launch.fitness import doubts_of, fit_faults, policy_faults
from patchbay.router.settings.config import PolicyConfig, RouterConfig
from patchbay.router.settings.config_file import examine_router_config
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


def is_routers(file: Path) -> bool:
    """Says whether `file` is one of `patchbay router`: it has keys, or a list of replicas, that a file of `patchbay up`
    cannot have, and nothing that only such a file has. Raises ConfigError where it cannot be read."""
    data = load_yaml(file)
    own = data.keys() & (RouterConfig.model_fields.keys() - PatchbayConfig.model_fields.keys())
    return not is_of_up(data) and (bool(own) or isinstance(data.get("replicas"), list))


def checked_router(file: Path) -> RouterConfig:
    """Loads a router's own `file`, and makes all checks on it. Raises ConfigError, with every fault."""
    examined = examine_router_config(file, {}, [_ANY_REPLICA])
    config = examined.settings
    later = [] if config is None else list(policy_faults(config, file.absolute().parent))
    if config is None or examined.faults or later:
        raise refusal(str(file), examined.with_more(later), file=file)
    _compile(config, file)
    return config


def checked_config(file: Path | None, overrides: Overrides) -> PatchbayConfig:
    """Loads the configuration as `patchbay up` does. Raises ConfigError, with every fault, where it can never be served
    as it is."""
    examined = examine_config(file, overrides)
    config, folder = examined.settings, Path.cwd() if file is None else file.absolute().parent
    base_is_known = ("base",) not in examined.cut
    later = [] if config is None else list(fit_faults(config, folder, base_is_known=base_is_known))
    if config is None or examined.faults or later:
        raise refusal(source_of(file), examined.with_more(later), file=file)
    return config


def _compile(config: PolicyConfig, file: Path) -> None:
    compiled_policy(config, user_cache(), file.absolute().parent)
