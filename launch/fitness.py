"""The fitness of a configuration: what can never work is found before anything is started, with its place and what to
write; what may come yet is a doubt."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from patchbay.adapters.artifacts.store import ArtifactStore
from patchbay.core.errors import ConfigError, RegistryError
from patchbay.core.names import meant, parse_reference
from patchbay.core.setting_faults import Fault
from patchbay.guards.check import guard_faults
from patchbay.guards.config import asked_model
from patchbay.launch.config import PatchbayConfig
from patchbay.launch.preflight import adapter_faults, base_fault
from patchbay.registry.database import check_database, sqlite_file
from patchbay.registry.records import Snapshot
from patchbay.registry.registry import Registry
from patchbay.router.routes.examples import example_faults
from patchbay.router.settings.config import PolicyConfig
from patchbay.router.settings.unknown_names import known_names, unknown_names
from patchbay.server.config import BaseConfig
from patchbay.server.quantization import quantization_fault


@dataclass(frozen=True, slots=True)
class AskedModel:
    """A model that a part of the configuration asks. `keys`: where it stands."""

    model: str
    keys: tuple[str | int, ...]


def fit_faults(config: PatchbayConfig, folder: Path, *, base_is_known: bool = True) -> Iterator[Fault]:
    """Yields every fault by which `config` can never be served as it is.

    `folder`: the folder that its paths are relative to; `base_is_known`: whether its base is what will be served, and
    not another in place of one that is not in order.
    """
    if base_is_known:
        yield from _base_faults(config.base, ("base",))
    for name, pool in config.pools.items():
        yield from _base_faults(pool.base, ("pools", name, "base"))
    yield from adapter_faults(config, base_is_known=base_is_known)
    yield from _store_faults(config)
    if base_is_known:
        yield from route_faults(config, config.base_names)
    yield from policy_faults(config, folder)


def policy_faults(config: PolicyConfig, folder: Path | None) -> Iterator[Fault]:
    """Yields what is wrong with guards and examples, and shows only when they are read or compiled."""
    yield from guard_faults(config, folder)
    yield from example_faults(config, folder)


def doubts_of(config: PatchbayConfig) -> list[str]:
    """Returns what `config` names and neither it nor its registry has, in words: it may come later. Names go unchecked
    where the registry cannot be read."""
    declared = {*config.base_names, *config.adapters}
    return list(unknown_names(config, known_names(_snapshot(config), declared, config.adapters)))


def route_faults(config: PolicyConfig, bases: Sequence[str]) -> Iterator[Fault]:
    """Yields the models that are asked by a name which neither an adapter nor a base can have. `bases`: their names,
    none where they are not known."""
    possible = {*config.routes, *bases}
    for asked in asked_models(config):
        if asked.model not in possible and parse_reference(asked.model) is None:
            known = f"the base is called '{bases[0]}'" if len(bases) == 1 else meant(asked.model, possible)
            yield Fault(asked.keys, f"no adapter can be called '{asked.model[:200]}', and {known}")


def asked_models(config: PolicyConfig) -> Iterator[AskedModel]:
    """Yields every model that routes, their fallbacks and shadows, and guards ask."""
    for name, route in config.routes.items():
        at: tuple[str | int, ...] = ("routes", name)
        if route.model is not None:
            yield AskedModel(route.model, (*at, "model"))
        yield from (AskedModel(arm.model, (*at, "split", place, "model")) for place, arm in enumerate(route.split))
        yield from (AskedModel(model, (*at, "fallbacks", place)) for place, model in enumerate(route.fallbacks))
        if route.shadow is not None:
            yield AskedModel(route.shadow.model, (*at, "shadow", "model"))
    for name, guard in config.guards.items():
        if (model := asked_model(guard)) is not None:
            yield AskedModel(model, ("guards", name, "model"))


def _base_faults(base: BaseConfig, keys: tuple[str, ...]) -> Iterator[Fault]:
    if (fault := base_fault(base)) is not None:
        yield Fault((*keys, "model"), fault)
    if base.chat_template is not None and not base.chat_template.is_file():
        yield Fault((*keys, "chat_template"), f"there is no file {base.chat_template}")
    if base.quantization is not None and (why := quantization_fault(base.quantization, Path(base.model).expanduser())):
        yield Fault((*keys, "quantization"), why)


def _store_faults(config: PatchbayConfig) -> Iterator[Fault]:
    """Yields why the registry's database or the artifact store can never be opened, without opening either."""
    url, own = config.registry.url.get_secret_value(), f"sqlite:///{config.data_dir / 'registry.db'}"
    try:
        check_database(url, make_folder=url == own)
    except (ConfigError, RegistryError) as error:
        yield _fault_of(error, "PATCHBAY_REGISTRY", ("registry", "url"))
    try:
        ArtifactStore.open(config.registry.artifacts)
    except ConfigError as error:
        yield _fault_of(error, "PATCHBAY_ARTIFACTS", ("registry", "artifacts", "url"))


def _fault_of(error: ConfigError | RegistryError, variable: str, keys: Sequence[str | int]) -> Fault:
    """Makes a fault of an error about a setting that `variable` overrides where it is set."""
    words = str(error).rstrip(".")
    return Fault((), f"{variable}: {words}") if os.environ.get(variable) else Fault(tuple(keys), words)


def _snapshot(config: PatchbayConfig) -> Snapshot | None:
    """Reads the registry as it is, None where there is none yet, or it cannot be read."""
    url = config.registry.url.get_secret_value()
    try:
        file = sqlite_file(url)
        if file is not None and not file.exists():
            return None
        with Registry.open(url, migrate=False) as registry:
            return registry.snapshot()
    except (ConfigError, RegistryError):
        return None
