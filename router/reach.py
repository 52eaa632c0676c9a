"""What the configuration names: the routes that there are, and the revisions that they pin. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from router.config import PolicyConfig
from router.guards.judges.config import LlmGuard
from router.routes.config import RouteConfig


@dataclass(frozen=True, slots=True)
class Reach:
    """`routes`: by name; `models`: every adapter, revision or base that they, their fallbacks and shadows, and guards
    ask."""

    routes: Mapping[str, RouteConfig] = field(default_factory=dict)
    models: frozenset[str] = frozenset()


def reach_of(config: PolicyConfig) -> Reach:
    """What `config` names."""
    return Reach(config.routes, frozenset(_models(config)))


def _models(config: PolicyConfig) -> Iterator[str]:
    for route in config.routes.values():
        yield from (arm.model for arm in route.arms)
        yield from route.fallbacks
        if route.shadow is not None:
            yield route.shadow.model
    for guard in config.guards.values():
        if isinstance(guard, LlmGuard):
            yield guard.model
