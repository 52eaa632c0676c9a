"""The names in the configuration: what routers serve, and the revisions that routes pin. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from patchbay.guards.config import asked_model
from patchbay.router.canary.served import Served, WatchedConfig


@dataclass(frozen=True, slots=True)
class PinnedNames:
    """The names in a configuration.

    `served`: routes with their guards, None before that is known; `models`: every adapter, revision or base that
    routes, their fallbacks and shadows, and guards ask.
    """

    served: Served | None = None
    models: frozenset[str] = frozenset()


def pinned_names(config: WatchedConfig, served: Served) -> PinnedNames:
    """Returns the names in `config`, with what is `served` by it."""
    return PinnedNames(served, models_of(config))


def models_of(config: WatchedConfig) -> frozenset[str]:
    """Returns every adapter, revision or base that the routes of `config`, their fallbacks and shadows, and its guards
    ask."""
    return frozenset(_models(config))


def _models(config: WatchedConfig) -> Iterator[str]:
    for route in config.routes.values():
        yield from (arm.model for arm in route.arms)
        yield from route.fallbacks
        if route.shadow is not None:
            yield route.shadow.model
    yield from (model for guard in config.guards.values() if (model := asked_model(guard)) is not None)
