"""Answers out of the cache, and into it: which are kept, for whom, and what is said of them."""

from dataclasses import dataclass
from typing import Literal

from patchbay.router.fleet.fleet import Fleet
from patchbay.router.fleet.snapshot import Target
from patchbay.router.forward.exchange import Exchange
from patchbay.router.forward.tries import Ask
from patchbay.router.http.headers import provenance, said
from patchbay.router.request.answer_cache import AnswerCache, cache_key
from patchbay.router.request.incoming import Incoming
from patchbay.router.routes.config import CacheConfig, RouteConfig
from patchbay.router.settings.policy import PolicyHolder
from patchbay.router.telemetry.request_metrics import RequestMetrics


@dataclass(frozen=True, slots=True)
class Shelf:
    """The place of a request's answer in the cache, and the `rules` by which it is kept."""

    key: bytes
    rules: CacheConfig


class Caching:
    """The step that answers from the cache, and keeps answers in it. `cache`: holds them; `fleet`: tells whether a
    replica could answer anew."""

    def __init__(self, cache: AnswerCache, fleet: Fleet, policy: PolicyHolder, metrics: RequestMetrics) -> None:
        self._cache = cache
        self._fleet = fleet
        self._policy = policy
        self._metrics = metrics

    def shelf(self, incoming: Incoming, route: RouteConfig, ask: Ask) -> Shelf | None:
        """Returns the place of an answer to `ask` on `route`, None where it is not to be kept."""
        guard_session = incoming.exchange.guard_session
        if route.cache is None or (guard_session is not None and (guard_session.masked or guard_session.tells_results)):
            return None
        guards = self._policy.policy.guards.names(route.guards)
        endpoint = incoming.exchange.asked.endpoint.name
        key = cache_key(incoming.client.tenant, endpoint, ask.target, guards, ask.body)
        return Shelf(key, route.cache) if key is not None else None

    def keep(self, exchange: Exchange, ask: Ask, answered: Target, shelf: Shelf | None, answer: bytes) -> None:
        """Keeps an answer, where it is one to keep and comes from whom it was looked for."""
        if shelf is not None and answered.engine_name == ask.target.engine_name:
            kind = b"text/event-stream" if exchange.relay.event_stream else b"application/json"
            self._cache.keep(shelf.key, ask.target, kind, answer)

    async def answer(self, exchange: Exchange, ask: Ask, shelf: Shelf) -> bool:
        """Whether the request was answered with what was kept."""
        if exchange.relay.cleared is not None:
            await exchange.relay.cleared
        ready = {one.name for one in self._fleet.view.replicas if one.state == "ready"}
        target, route, rules = ask.target, ask.route, shelf.rules
        offline = ready.isdisjoint(target.replicas)
        found = self._cache.find(shelf.key, target, rules.ttl_s + (rules.offline_s if offline else 0))
        how: Literal["hit", "miss", "offline"] = "miss" if found is None else "offline" if offline else "hit"
        self._metrics.cached(how)
        exchange.drop_headers(b"x-patchbay-cache")
        exchange.extra.append(said("cache", how))
        if found is None:
            return False
        kept, age_s = found
        headers = [(b"content-type", kept.content_type), (b"age", b"%d" % age_s)]
        headers += provenance(route, target, "cache")
        exchange.result.cached = True
        exchange.comes_from(target, "cache")
        exchange.relay.whole(200, headers + exchange.extra, kept.body)
        return True
