"""From a request that was read to its answer: route, limits, turn, and the replica's answer, with fallbacks."""

import asyncio
import contextlib
from collections.abc import Coroutine, Sequence
from functools import partial
from typing import Any

from patchbay.core.asgi import header
from patchbay.core.errors import DeadlineExceeded, ModelNotFound, RateLimited, RequestError, Unavailable, UpstreamFailed
from patchbay.core.json_body import decoded, encoded
from patchbay.core.offload import Offload, is_long_json
from patchbay.guards.judges.judges import Judges
from patchbay.guards.session import Rerouted
from patchbay.router.admission.admission import AdmissionRequest, Turn
from patchbay.router.admission.scheduler import Waiting
from patchbay.router.fleet.names import resolve
from patchbay.router.fleet.snapshot import Target, in_pool
from patchbay.router.forward.exchange import Exchange
from patchbay.router.forward.forwarder import Forwarder
from patchbay.router.forward.internal_calls import InternalClient
from patchbay.router.forward.tries import Ask
from patchbay.router.forward.upstreams import Upstreams
from patchbay.router.http.addresses import with_addressed_model
from patchbay.router.http.body import with_one_model
from patchbay.router.http.endpoints import RESPONSES
from patchbay.router.http.headers import EXPLAIN, said
from patchbay.router.request.answer_cache import AnswerCache
from patchbay.router.request.cache_step import Caching
from patchbay.router.request.canary_step import CanaryStep
from patchbay.router.request.guard_step import GuardStep
from patchbay.router.request.handler_parts import HandlerParts
from patchbay.router.request.incoming import Incoming
from patchbay.router.request.quota import Quota
from patchbay.router.request.response_step import ResponseStep
from patchbay.router.request.shadow import AnswerPair, Shadow
from patchbay.router.request.token_meter import guess_of, used_by, with_judges
from patchbay.router.request.visibility import is_open_to, opened_by
from patchbay.router.routes.config import RouteConfig
from patchbay.router.routes.rewrite import capped, rewritten
from patchbay.router.routes.table import Choice
from patchbay.router.tenants.clients import Client
from patchbay.router.tenants.config import PriceConfig
from patchbay.router.tenants.limiter import NOTHING, Need

# What another route may do better at.
_FALLS_BACK = (Unavailable, UpstreamFailed, DeadlineExceeded, RateLimited, ModelNotFound)
# Threads in which texts wait for finders of entities, each for one request at a time.
_WAITING_THREADS = 32


class RequestHandler:
    """Handler of requests: takes each through the router's decisions."""

    def __init__(self, parts: HandlerParts, upstreams: Upstreams, forwarder: Forwarder) -> None:
        self._parts = parts
        self._upstreams = upstreams
        self._forwarder = forwarder
        internal = InternalClient(parts.fleet, upstreams)
        self._judges = Judges(
            ask=internal.verdict, again=internal.again, wanted=lambda: parts.policy.policy.guards.judges
        )
        self._offload = Offload()
        self._waiting = Offload(_WAITING_THREADS)
        self._guard_step = GuardStep(
            policy=parts.policy,
            metrics=parts.metrics.guards,
            key=parts.guard_key,
            judges=self._judges,
            offload=self._offload,
            waiting=self._waiting,
        )
        self._canary_step = CanaryStep(parts.live_canaries, parts.fleet, parts.clock)
        cache = AnswerCache(parts.config.cache_mib * 1024 * 1024, parts.clock)
        self._caching = Caching(cache, parts.fleet, parts.policy, parts.metrics.requests)
        parts.live_canaries.dropped.append(cache.forget)
        self._response_step = ResponseStep(parts.kept, parts.config, parts.metrics.responses, self._offload)
        self._quota = Quota(parts.limiter, parts.config.counters, parts.fleet, self._offload)
        self._shadow = Shadow(
            internal=internal,
            offload=self._offload,
            admission=parts.admission,
            metrics=parts.metrics.requests,
            clock=parts.clock,
            live_canaries=parts.live_canaries,
        )

    @property
    def pairs(self) -> Sequence[AnswerPair]:
        """Answers beside those of shadows, the newest last."""
        return tuple(self._shadow.pairs)

    async def close(self) -> None:
        """Ends copies that are under way, closes judges, and ends threads: no request is under way."""
        await self._shadow.close()
        await self._judges.close()
        self._offload.close()
        self._waiting.close()

    async def answer(self, exchange: Exchange, client: Client, deadline_s: float | None) -> Target:
        """Answers, and returns who did. Raises RequestError where nobody does."""
        body = await exchange.arrival.request.body(self._parts.config.body_timeout_s)
        incoming = await self._read(exchange, client, body, deadline_s)
        try:
            return await self._by_choices(incoming)
        finally:
            self._table(exchange, client)

    async def _by_choices(self, incoming: Incoming) -> Target:
        """Answers as the first choice that can says."""
        exchange = incoming.exchange
        choices = self._canary_step.arms(incoming, self._choices(incoming))
        for place, choice in enumerate(choices):
            exchange.is_last_choice = place + 1 == len(choices)
            try:
                return await self._within_its_time(incoming, choice)
            except Rerouted as moved:
                self._canary_step.left(exchange)
                exchange.is_last_choice = True
                return await self._within_its_time(incoming, self._elsewhere(incoming, moved))
            except _FALLS_BACK as error:
                if exchange.is_last_choice or not self._may_fall_back(exchange, error):
                    raise
                self._fall_back(exchange, choice, error)
        raise Unavailable("There is nothing to answer with.")

    async def _read(self, exchange: Exchange, client: Client, body: bytes, deadline_s: float | None) -> Incoming:
        """What routing needs of a request. Raises InvalidRequest and TooManyElements."""
        most, addressed = self._parts.config.max_body_elements, exchange.arrival.request.model
        if addressed is not None:
            body = await self._offload.run_json(partial(with_addressed_model, body, addressed, most), len(body))
        if is_long_json(body):
            head = await self._offload.run_json(partial(exchange.read, body, most), len(body))
        else:
            head = exchange.read(body, most)
        asked = None
        if exchange.asked.endpoint is RESPONSES:
            whole = body
            body, asked = await self._response_step.begin(exchange, client.tenant, body)
            if body is not whole:
                head = await self._offload.run_json(partial(exchange.read, body, most), len(body))
        incoming = Incoming(
            exchange=exchange, client=client, head=head, body=body, deadline_s=deadline_s, response=asked
        )
        if is_long_json(body) and (
            self._parts.policy.policy.table.knows(head.model) or self._parts.live_canaries.running
        ):
            # They are read where they are wanted, but from a long body not there, on the event loop.
            await self._offload.run_json(lambda: incoming.facts, len(body))
        return incoming

    def ended(self, exchange: Exchange) -> None:
        """The request has ended, one way or the other."""
        self._canary_step.ended(exchange)

    def _choices(self, incoming: Incoming) -> Sequence[Choice]:
        """What the request is to get, and what else where that cannot be had."""
        model, table, client = incoming.head.model, self._parts.policy.policy.table, incoming.client
        if not table.knows(model):
            return (Choice(route=model, model=model),)
        exchange = incoming.exchange
        facts = incoming.facts
        opens = opened_by(client, table)
        choice = table.choose(model, facts, opens)
        if choice.route == model and not opens(model):
            # Its fallback would tell that it is there.
            raise ModelNotFound(model[:200])
        degrade = client.tier.degrade
        if degrade is not None and degrade.route is not None and opens(degrade.route) and self._is_busy(client):
            choice = table.choose(degrade.route, facts)
            exchange.extra.append(said("degraded", f"route {degrade.route}"))
        if header(exchange.arrival.request.headers, EXPLAIN) == b"1":
            exchange.extra.append(said("explain", "; ".join(choice.why)))
        others = [one for one in (choice.config.fallbacks if choice.config else ()) if opens(one)]
        return (
            choice,
            *(table.choose(one, facts, opens) if table.knows(one) else Choice(route=one, model=one) for one in others),
        )

    def _elsewhere(self, incoming: Incoming, moved: Rerouted) -> Choice:
        """Where a guard has the request go."""
        exchange = incoming.exchange
        exchange.tries.tried.clear()
        opens = opened_by(incoming.client, self._parts.policy.policy.table)
        shown = f"{moved.guard}: {moved.route}" if opens(moved.route) else moved.guard
        exchange.extra.append(said("rerouted", shown))
        return self._parts.policy.policy.table.choose(moved.route, incoming.facts)

    def _within_its_time(self, incoming: Incoming, choice: Choice) -> Coroutine[Any, Any, Target]:
        """Answers as `choice` says. Raises DeadlineExceeded where the answer does not begin within the route's time."""
        limit_s = choice.config.timeout_s if choice.config else None
        return self._answer(incoming, choice) if limit_s is None else self._timed(incoming, choice, limit_s)

    async def _timed(self, incoming: Incoming, choice: Choice, limit_s: float) -> Target:
        try:
            async with asyncio.timeout(limit_s) as clock:
                incoming.exchange.on_begin = lambda: clock.reschedule(None)
                return await self._answer(incoming, choice)
        except TimeoutError as error:
            raise DeadlineExceeded(f"'{choice.route}' did not begin to answer within {limit_s:g} s.") from error
        finally:
            incoming.exchange.on_begin = None

    async def _answer(self, incoming: Incoming, choice: Choice) -> Target:
        gathering = self._parts.fleet.gathering
        target = await self._gathered(incoming, choice) if gathering else self._target(incoming, choice)
        exchange, client = incoming.exchange, incoming.client
        exchange.goes_to(choice, target)
        if is_long_json(incoming.body):
            body = await self._offload.run_json(partial(self._body, incoming, choice, target), len(incoming.body))
        else:
            body = self._body(incoming, choice, target)
        body = await self._guard_step.check(exchange, choice, client.tenant, body)
        price = self._parts.policy.policy.config.price(choice.route, target.label)
        if choice.config is not None and choice.config.requests_per_minute is not None:
            await self._quota.charge_route(choice.route, choice.config.requests_per_minute)
        body, grant = await self._quota.reserve(incoming, target, body, price)
        used = NOTHING
        try:
            config = choice.config
            ask = Ask(
                model=choice.model,
                target=target,
                prompt=incoming.head.beginning,
                body=body,
                stream=bool(incoming.head.stream),
                deadline_s=self._deadline(incoming, config),
                route=choice.route,
                arm=choice.arm,
                pool=choice.pool or (config.pool if config else None),
                priority=client.tier.priority,
            )
            if grant is not None:
                exchange.extra.extend(grant.headers)
            answered = await self._guard_step.while_judged(exchange, self._answered(incoming, choice, ask))
        finally:
            if exchange.relay.head_sent and not exchange.result.cached:
                used = with_judges(exchange.result.used, exchange.relay)
            if grant is not None:
                self._parts.limiter.settle(grant, used)
            self._guard_step.done(exchange)
            self._count(incoming, target, used, price)
        return answered

    async def _answered(self, incoming: Incoming, choice: Choice, ask: Ask) -> Target:
        """Answers from the cache, or by a replica, and keeps what is to be kept."""
        exchange, config, relay = incoming.exchange, choice.config, incoming.exchange.relay
        shelf, relay.keeper = None, self._response_step.keeper(incoming, ask.body)
        # Who is told that an answer is kept must find it under its own id, until it is deleted.
        if config is not None and config.cache is not None and relay.keeper is None:
            shelf = await self._offload.run_json(lambda: self._caching.shelf(incoming, config, ask), len(ask.body))
        if shelf is not None and await self._caching.answer(exchange, ask, shelf):
            return ask.target
        shadowed = self._shadow.wants(exchange, choice)
        if shelf is not None or shadowed:
            relay.copy = bytearray()
        try:
            answered = await self._in_turn(incoming, ask)
        except (Unavailable, UpstreamFailed):
            # The last replica may have gone just now.
            if shelf is None or relay.head_sent or not await self._caching.answer(exchange, ask, shelf):
                raise
            return ask.target
        if exchange.result.outcome == "ok" and relay.copy is not None:
            answer = bytes(relay.copy)
            self._caching.keep(exchange, ask, answered, shelf, answer)
            if shadowed:
                self._shadow.copy(exchange, choice, ask, answer)
        return answered

    async def _in_turn(self, incoming: Incoming, ask: Ask) -> Target:
        exchange = incoming.exchange
        self._upstreams.check(exchange, ask)
        turn = await self._enter(incoming, ask)
        exchange.tries.turn = turn
        cost = 0.0
        try:
            return await self._forwarder.forward(exchange, ask)
        finally:
            if exchange.relay.head_sent:
                exchange.result.used = used_by(exchange.relay, ask.body)
                used = with_judges(exchange.result.used, exchange.relay)
                cost = used.tokens
                self._parts.admission.answered(used.answer)
            exchange.tries.turn = None
            turn.done(cost)

    async def _enter(self, incoming: Incoming, ask: Ask) -> Turn:
        exchange, client, admission = incoming.exchange, incoming.client, self._parts.admission

        def pick(places: Sequence[str]) -> str | None:
            replica = self._upstreams.best(exchange.tries.tried, ask, places)
            return replica.name if replica is not None else None

        began_s = self._parts.clock()
        waiting = Waiting(
            tenant=client.tenant,
            revision=ask.target.engine_name if ask.target.revision is not None else None,
            replicas=self._pooled(ask),
            cost=guess_of(ask.body, admission.answer_tokens),
            since_s=began_s,
            weight=client.tier.weight,
        )
        turn = await admission.enter(
            AdmissionRequest(waiting, client.tier.max_waiting, pick, lambda: self._pooled(ask))
        )
        self._parts.metrics.admission.waited(self._parts.clock() - began_s)
        return turn

    def _pooled(self, ask: Ask) -> frozenset[str]:
        mine = {one.name for one in self._parts.fleet.view.replicas if in_pool(one, ask.pool)}
        return frozenset(mine.intersection(self._parts.fleet.able(ask.target)))

    async def _gathered(self, incoming: Incoming, choice: Choice) -> Target:
        """What the choice's model means, which is waited for while replicas that have just come are given it."""
        while self._parts.fleet.gathering:
            with contextlib.suppress(ModelNotFound):
                target = self._target(incoming, choice)
                if target.replicas:
                    return target
            await self._parts.fleet.changed(self._parts.fleet.gathering_s)
        return self._target(incoming, choice)

    def _target(self, incoming: Incoming, choice: Choice) -> Target:
        """What the choice's model means. What the client may not see is not there."""
        view, client = self._parts.fleet.view, incoming.client
        name = incoming.head.model
        if choice.config is not None:
            if not is_open_to(choice.config, choice.route, client):
                raise ModelNotFound(name[:200])
            return resolve(choice.model, view.table, view.replicas)
        target = resolve(choice.model, view.table, view.replicas)
        if not client.may_use_adapter(target.label):
            raise ModelNotFound(name[:200])
        return target

    def _body(self, incoming: Incoming, choice: Choice, target: Target) -> bytes:
        config, body, endpoint = choice.config, incoming.body, incoming.exchange.asked.endpoint.name
        if config is not None:
            body = rewritten(body, endpoint, target.revision or target.label, config)
            if config.template is not None:
                told = said("template", f"{config.template.id}@{config.template.version}")
                incoming.exchange.extra.append(told)
        else:
            body = with_one_model(body)
        degrade = incoming.client.tier.degrade
        if degrade is not None and degrade.max_tokens is not None and self._is_busy(incoming.client):
            fewer = capped(decoded(body), endpoint, degrade.max_tokens)
            if fewer is not None:
                incoming.exchange.extra.append(said("degraded", f"max_tokens {degrade.max_tokens}"))
                return encoded(fewer)
        return body

    def _deadline(self, incoming: Incoming, config: RouteConfig | None) -> float | None:
        """When the answer must be whole, by the event loop's clock."""
        if config is None or config.request_timeout_s is None:
            return incoming.deadline_s
        own = asyncio.get_running_loop().time() + config.request_timeout_s
        return own if incoming.deadline_s is None else min(own, incoming.deadline_s)

    def _is_busy(self, client: Client) -> bool:
        degrade = client.tier.degrade
        return degrade is not None and self._parts.admission.expected_wait_s() >= degrade.when_waiting_s

    def _may_fall_back(self, exchange: Exchange, error: RequestError) -> bool:
        """Not once the answer has begun, nor where it is the tenant that is over its limits."""
        return not exchange.relay.head_sent and not (isinstance(error, RateLimited) and not error.of_route)

    def _fall_back(self, exchange: Exchange, choice: Choice, error: RequestError) -> None:
        exchange.tries.tried.clear()
        self._canary_step.failed(exchange, error)
        exchange.drop_headers(b"x-ratelimit-", b"x-patchbay-template")
        exchange.extra.append(said("fallback", f"{choice.route}: {error.code or 'failed'}"))
        self._parts.metrics.requests.fell_back(choice.route)

    def _count(self, incoming: Incoming, target: Target, used: Need, price: PriceConfig) -> None:
        exchange = incoming.exchange
        exchange.result.used, exchange.result.cost = used, used.cost(price)
        self._canary_step.answered(exchange, incoming.body, used)
        self._parts.metrics.requests.tokens(target.label, used.prompt, used.answer)
        exchange.result.counted = (exchange.answerer.route, target.revision or target.label)

    def _table(self, exchange: Exchange, client: Client) -> None:
        """Books what a call took, once, under whom it was asked of last."""
        usage = self._parts.usage
        if usage is None or exchange.result.counted is None:
            return
        route, model = exchange.result.counted
        # Whoever went away before an answer began was not failed.
        unanswered = not exchange.relay.head_sent and not exchange.arrival.request.gone
        failed = exchange.result.outcome not in ("ok", "cancelled") or unanswered
        usage.add(client.tenant, route, model, exchange.result.used, exchange.result.cost, failed=failed)
