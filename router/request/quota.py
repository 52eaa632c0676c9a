"""Quota of a request: bounds its answer, and sets aside what it can take at most before a replica is asked."""

from patchbay.core.offload import Offload
from patchbay.core.tenancy import Limits
from patchbay.router.fleet.fleet import Fleet
from patchbay.router.fleet.snapshot import Target
from patchbay.router.request.incoming import Incoming
from patchbay.router.request.token_meter import bounded
from patchbay.router.tenants.config import FREE, CountersConfig, PriceConfig
from patchbay.router.tenants.limiter import NOTHING, ROUTE, Grant, Limiter


class Quota:
    """The step that holds requests to their tenants' limits. `offload`: does what takes long."""

    def __init__(self, limiter: Limiter, counters: CountersConfig, fleet: Fleet, offload: Offload) -> None:
        self._limiter = limiter
        self._counters = counters
        self._fleet = fleet
        self._offload = offload

    async def charge_route(self, route: str, requests_per_minute: int) -> None:
        """Counts a request to a route that has a limit of its own. Raises RateLimited."""
        limits = Limits(requests_per_minute=requests_per_minute)
        await self._limiter.reserve(f"{ROUTE}{route}", limits, NOTHING, FREE)

    async def reserve(
        self, incoming: Incoming, target: Target, body: bytes, price: PriceConfig
    ) -> tuple[bytes, Grant | None]:
        """The body, with the answer's bound in it that is counted where a limit needs one, and what was set aside.

        Raises RateLimited, and InvalidRequest for a size that could be read in more than one way.
        """
        client = incoming.client
        limits = client.limits
        if limits.none:
            return body, None
        need = NOTHING
        if limits.by_tokens:
            endpoint, context = incoming.exchange.asked.endpoint.name, self._context(target)
            body, need = await self._offload.run_json(
                lambda: bounded(body, endpoint, self._counters, context), len(body)
            )
        return body, await self._limiter.reserve(client.tenant, limits, need, price)

    def _context(self, target: Target) -> int | None:
        """The tokens that a request to `target` can hold with its answer, None where a replica does not tell."""
        having = frozenset(target.replicas)
        held = [one.catalog.context for one in self._fleet.view.replicas if one.name in having and one.catalog]
        known = [one for one in held if one is not None]
        return max(known) if known and len(known) == len(held) else None
