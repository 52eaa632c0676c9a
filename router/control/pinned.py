"""What the configuration names: the routes that there are, and the revisions that they pin. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from patchbay.guards.judges.config import LlmGuard
from patchbay.router.config import PolicyConfig


@dataclass(frozen=True, slots=True)
class PinnedNames:
    """`routes`: by name; `models`: every adapter, revision or base that they, their fallbacks and shadows, and guards
    ask."""

    routes: frozenset[str] = frozenset()
    models: frozenset[str] = frozenset()


def pinned_names(config: PolicyConfig) -> PinnedNames:
    """What `config` names."""
    return PinnedNames(frozenset(config.routes), frozenset(_models(config)))


def _models(config: PolicyConfig) -> Iterator[str]:
    for route in config.routes.values():
        yield from (arm.model for arm in route.arms)
        yield from route.fallbacks
        if route.shadow is not None:
            yield route.shadow.model
    for guard in config.guards.values():
        if isinstance(guard, LlmGuard):
            yield guard.model
