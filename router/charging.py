"""What limits a request: its answer is bounded, and what it can take at most is set aside before it is asked for."""

from adapters.tenancy import Limits
from router.apart import Apart
from router.incoming import Incoming
from router.meter import asked_tokens, need_of
from router.routes.book import Choice
from router.routes.rewrite import capped
from router.tenants.config import CountersConfig, PriceConfig
from router.tenants.limiter import ROUTE, Grant, Limiter, Need

_FREE = PriceConfig()


class Charging:
    """`apart`: does what takes long."""

    def __init__(self, limiter: Limiter, counters: CountersConfig, apart: Apart) -> None:
        self._limiter = limiter
        self._counters = counters
        self._apart = apart

    async def charge_route(self, choice: Choice) -> None:
        """Counts a request to a route that has a limit of its own. Raises RateLimited."""
        config = choice.config
        if config is None or config.requests_per_minute is None:
            return
        limits = Limits(requests_per_minute=config.requests_per_minute)
        await self._limiter.reserve(f"{ROUTE}{choice.route}", limits, Need(0, 0), _FREE, "")

    async def reserve(self, incoming: Incoming, body: bytes, price: PriceConfig) -> tuple[bytes, Grant | None]:
        """The body, its answer bounded where a limit needs that, and what was set aside for it. Raises RateLimited."""
        client = incoming.client
        limits = client.limits
        if limits == Limits():
            return body, None
        body, need = await self._apart.run_json(lambda: self._bounded(incoming, body, limits), len(body))
        lease = incoming.exchange.id.decode()
        return body, await self._limiter.reserve(client.tenant, limits, need, price, lease)

    def _bounded(self, incoming: Incoming, body: bytes, limits: Limits) -> tuple[bytes, Need]:
        most = self._counters.answer_tokens
        by_tokens = (limits.tokens_per_minute, limits.tokens_per_day, limits.money_per_day) != (None, None, None)
        if by_tokens and asked_tokens(body) is None:
            body = capped(body, incoming.exchange.endpoint.name, most)
        return body, need_of(body, most, self._counters.bytes_per_token)
