"""Names in a configuration that nothing here has: each would be a 404, silently. Pure."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from patchbay.core.names import meant, parse_reference, revision_name
from patchbay.core.tenancy import DEFAULT_TENANT
from patchbay.registry.records import Snapshot
from patchbay.router.settings.config import PolicyConfig
from patchbay.router.settings.pinned import models_of

_ANY_PRICE = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownNames:
    """The names that there are; None where nobody can tell yet. `models`: adapters, revisions, bases."""

    tenants: frozenset[str] | None
    models: frozenset[str] | None


def known_names(snapshot: Snapshot | None, table: Collection[str] | None, declared: Collection[str]) -> KnownNames:
    """The names by the registry's `snapshot`, None where there is no registry; by what replicas serve (`table`), None
    as long as some have not told; and by what the configuration has `declared`."""
    adapters = snapshot.adapters if snapshot is not None else {}
    revisions = {revision_name(name, number) for name, view in adapters.items() for number in view.revisions}
    models = None if table is None else frozenset({*table, *adapters, *revisions, *declared})
    if snapshot is None:
        return KnownNames(tenants=None, models=models)
    return KnownNames(
        tenants=frozenset({DEFAULT_TENANT, *(one.name for one in snapshot.access.tenants)}), models=models
    )


def unknown_names(config: PolicyConfig, known: KnownNames) -> Iterator[str]:
    """Yields the names in `config` that are not `known`, in words."""
    if known.tenants is not None:
        for place, name in _tenants(config):
            if name not in known.tenants:
                yield f"{place}: there is no tenant '{name}' ({meant(name, known.tenants)})"
    if known.models is not None:
        callable_ = known.models | frozenset(config.routes)
        yield from _unknown_models(config, callable_)
        yield from _unknown_prices(config, callable_)


def _unknown_models(config: PolicyConfig, known: frozenset[str]) -> Iterator[str]:
    for name in sorted(models_of(config) - known):
        bare = _bare(name)
        what = f"there is no revision '{name}'" if bare in known else f"nothing is called '{name}'"
        yield f"{_where(config, name)}: {what}{'' if bare in known else f' ({meant(bare, known)})'}"


def _unknown_prices(config: PolicyConfig, known: frozenset[str]) -> Iterator[str]:
    for name in sorted(set(config.prices) - known - {_ANY_PRICE}):
        yield f"prices.{name}: no route and no model is called so ({meant(name, known)})"


def _tenants(config: PolicyConfig) -> Iterator[tuple[str, str]]:
    for name, route in sorted(config.routes.items()):
        yield from ((f"routes.{name}.tenants", tenant) for tenant in route.tenants)
    for name, guard in sorted(config.guards.items()):
        yield from ((f"guards.{name}.tenants", tenant) for tenant in sorted(guard.tenants))


def _where(config: PolicyConfig, model: str) -> str:
    """The routes, or else the guards, that name a model."""
    own = {
        name: {*(arm.model for arm in route.arms), *route.fallbacks, route.shadow.model if route.shadow else ""}
        for name, route in config.routes.items()
    }
    return ", ".join(f"routes.{name}" for name in sorted(own) if model in own[name]) or "guards"


def _bare(name: str) -> str:
    reference = parse_reference(name)
    return reference.name if reference is not None else name
