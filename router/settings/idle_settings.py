"""Settings of tenants that can never apply, since the router reads no registry. Pure."""

from collections.abc import Iterator

from patchbay.core.tenancy import DEFAULT_TENANT, DEFAULT_TIER
from patchbay.router.settings.config import PolicyConfig

_WRITE = "add 'registry: {}' to the router's file"


def idle_settings(config: PolicyConfig) -> Iterator[str]:
    """Yields the parts of `config` that never apply without a registry, in words that say what to write."""
    tiers = sorted(set(config.tiers) - {DEFAULT_TIER})
    if tiers:
        yield (
            f"tiers {', '.join(tiers)}: no request is ever of them, since without a registry every client is the "
            f"tenant '{DEFAULT_TENANT}' of the tier '{DEFAULT_TIER}'; {_WRITE}"
        )
    for name, route in sorted(config.routes.items()):
        if route.tenants and DEFAULT_TENANT not in route.tenants:
            yield (
                f"routes.{name}.tenants: nobody can call it, since without a registry there is no tenant but "
                f"'{DEFAULT_TENANT}'; {_WRITE}"
            )
    for name, guard in sorted(config.guards.items()):
        if others := sorted(set(guard.tenants) - {DEFAULT_TENANT}):
            yield f"guards.{name}.tenants: without a registry there is no tenant {', '.join(others)}; {_WRITE}"


def open_to_all(url: str, *, has_registry: bool) -> str:
    """Returns the log line of a router whose port at `url` asks for no key."""
    said = f"there are no keys, so whoever reaches {url} may ask"
    if has_registry:
        return f"{said}: make one by 'patchbay keys create'"
    return (
        f"{said}, and without a registry no key of 'patchbay keys create' counts: {_WRITE} and make one, "
        "or write 'api_keys'"
    )
