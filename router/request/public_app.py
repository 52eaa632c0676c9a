"""Public application: answers the requests on the public port.

A bare application on asyncio protocols, since every token passes here. `PublicApp` finds the endpoint, reads the body
once and asks `routes` for the meaning of the model; `forward` has a replica answer.
"""

import asyncio
import json
import logging
from collections.abc import Iterable, Mapping, Sequence

from patchbay.core.asgi import Headers, header
from patchbay.core.error_events import form_of
from patchbay.core.errors import DeadlineExceeded, ModelNotFound, RequestError, Unavailable
from patchbay.router.fleet.models_page import Listing, listed_for
from patchbay.router.forward.arrival import Arrival, Asked
from patchbay.router.forward.exchange import Exchange
from patchbay.router.forward.forwarder import Forwarder
from patchbay.router.forward.relay import Relay
from patchbay.router.forward.suspects import Suspects
from patchbay.router.forward.upstreams import Upstreams
from patchbay.router.http.addresses import take_address
from patchbay.router.http.endpoints import (
    FEEDBACK,
    HEALTH,
    HEALTH_PATHS,
    MODEL,
    MODEL_PREFIX,
    MODELS,
    OPEN_PATHS,
    find_endpoint,
)
from patchbay.router.http.headers import ANTHROPIC_REQUEST_ID, REQUEST_ID, request_id, timeout_s
from patchbay.router.http.origin_check import OriginCheck
from patchbay.router.http.public_pages import public_pages
from patchbay.router.http.request import Reply, Request
from patchbay.router.http.trace_context import TRACEPARENT, begin_span
from patchbay.router.request.absent import explained
from patchbay.router.request.endings import Endings
from patchbay.router.request.feedback import Feedback, answer_key
from patchbay.router.request.handler import RequestHandler
from patchbay.router.request.handler_parts import HandlerParts
from patchbay.router.request.response_pages import ResponsePages
from patchbay.router.request.shadow import AnswerPair
from patchbay.router.request.visibility import is_open_to
from patchbay.router.routes.config import AUTO
from patchbay.router.tenants.clients import Client
from patchbay.router.upstream.link import Link

_log = logging.getLogger("patchbay.router")
_JSON: Headers = [(b"content-type", b"application/json")]
_ANYBODY = Client()


class PublicApp:
    """Application of the public port: finds each request's endpoint and answers it.

    `parts`: shared parts of the router; `links`: the ways to the replicas, by name; `endings`: reports requests that
    have ended.
    """

    def __init__(self, parts: HandlerParts, links: Mapping[str, Link], endings: Endings) -> None:
        config, clock = parts.config, parts.clock
        self._parts = parts
        self._config = config
        self._fleet = parts.fleet
        self._metrics = parts.metrics
        self._clock = clock
        self._upstreams = Upstreams(
            config=config, fleet=parts.fleet, links=links, metrics=parts.metrics.replicas, clock=clock
        )
        forwarder = Forwarder(
            config=config, fleet=parts.fleet, upstreams=self._upstreams, metrics=parts.metrics, clock=clock
        )
        self._handler = RequestHandler(parts, self._upstreams, forwarder)
        self._endings = endings
        self._sample = config.tracing.sample if config.tracing is not None else 0
        self._pages = ResponsePages(parts.kept)
        self._feedback = Feedback(config.feedback_ids)
        self._door = OriginCheck(bound=config.host, hosts=config.hosts, origins=config.cors_origins)
        self._public_pages = public_pages()
        self._work: set[Exchange] = set()
        self._open = 0
        self.draining = False

    @property
    def in_flight(self) -> int:
        """The number of requests that are being answered."""
        return self._open

    @property
    def work(self) -> Iterable[Exchange]:
        """The requests that are on their way to a replica, or being answered by one."""
        return self._work

    @property
    def ready(self) -> bool:
        """Whether a new request can be answered."""
        return not self.draining and self._fleet.settled and self._fleet.view.ready > 0

    def at_replica(self, name: str) -> int:
        """Returns the number of requests that a replica is answering for this router."""
        return self._upstreams.in_flight.get(name, 0)

    def circuit_open(self, name: str) -> bool:
        """Whether a replica gets no requests for now, after failures."""
        return self._upstreams.circuit_open(name)

    def paused_s(self, name: str) -> float:
        """Returns the seconds for which a replica asked to be left alone. 0 where it did not."""
        return self._upstreams.healths.paused_s(name)

    @property
    def suspects(self) -> Suspects:
        """The requests that are suspected of killing replicas."""
        return self._upstreams.suspects

    @property
    def pairs(self) -> Sequence[AnswerPair]:
        """The last pairs of clients' answers and shadows' answers, the newest last."""
        return self._handler.pairs

    async def close(self) -> None:
        """Ends background work, such as shadow copies."""
        await self._handler.close()

    def interrupt(self) -> None:
        """Interrupts every request that is at a replica, with an error that its client can read."""
        for exchange in list(self._work):
            exchange.interrupt(Unavailable("The router is shutting down."))

    async def __call__(self, request: Request, reply: Reply) -> None:
        take_address(request)
        given, span = request_id(request.headers), begin_span(request.headers, self._sample)
        form = form_of(request.path)
        relay = Relay(reply, form)
        own_headers = [(REQUEST_ID, given), (TRACEPARENT, span.traceparent)]
        if form == "messages":
            own_headers.append((ANTHROPIC_REQUEST_ID, given))
        exchange = Exchange(arrival=Arrival(request, given, span, self._clock()), relay=relay, extra=own_headers)
        self._open += 1
        try:
            await self._guard_session(exchange)
        finally:
            self._open -= 1
            self._handler.ended(exchange)
            self._endings.ended(exchange)

    async def _guard_session(self, exchange: Exchange) -> None:
        """Answers a request, whatever happens. This is the one place where an error becomes an answer."""
        try:
            await self._answer(exchange)
        except asyncio.CancelledError:
            if exchange.arrival.request.gone:
                exchange.result.is_left()
            elif exchange.cause is not None:
                self._fail(exchange, exchange.cause)
            else:
                raise
        except RequestError as error:
            self._fail(exchange, error)
        except Exception:  # noqa: BLE001 - the outermost loop: logged and counted
            _log.exception("request %s failed in the router", exchange.arrival.id.decode())
            self._metrics.process.fault("proxy")
            self._fail(exchange, RequestError("The router failed to answer this request."))

    def _fail(self, exchange: Exchange, error: RequestError) -> None:
        exchange.result.fails(error.status, broken=exchange.relay.head_sent)
        exchange.relay.fail(error, exchange.extra)

    async def _answer(self, exchange: Exchange) -> None:
        request = exchange.arrival.request
        path = request.path
        client = _ANYBODY
        if path not in HEALTH_PATHS and self._at_the_door(exchange):
            return
        if path not in OPEN_PATHS:
            client = self._parts.policy.clients.identify(request.headers)
        endpoint = find_endpoint(request.method, path, switched=self._config.tokenizer_endpoints)
        exchange.asked = Asked(endpoint, client.tenant)
        if endpoint.forwarded:
            await self._forward(exchange, client)
        elif self._pages.has(endpoint):
            exchange.relay.whole(200, _JSON + exchange.extra, await self._pages.answer(exchange))
        else:
            await self._answer_itself(exchange, client)

    async def _answer_itself(self, exchange: Exchange, client: Client) -> None:
        """Answers what no replica is asked for."""
        endpoint = exchange.asked.endpoint
        if endpoint is MODELS:
            exchange.relay.whole(200, _JSON + exchange.extra, self._listing(client).whole)
        elif endpoint is MODEL:
            self._one_model(exchange, client, exchange.arrival.request.path[len(MODEL_PREFIX) :])
        elif endpoint is FEEDBACK:
            await self._vote(exchange)
        elif endpoint is HEALTH:
            self._health(exchange)
        else:
            exchange.relay.whole(200, _JSON + exchange.extra, self._public_pages[endpoint])

    def _at_the_door(self, exchange: Exchange) -> bool:
        """Checks where a request comes from. Returns True where it was a CORS preflight, which is answered then.

        Raises Forbidden where the request is addressed to a name that is not this port's, and where a page of another
        site uses a port that is open to all.
        """
        door, request = self._door, exchange.arrival.request
        door.check_host(request.headers)
        if header(request.headers, b"origin") is None:
            return False
        exchange.extra.extend(door.cors(request.headers))
        if (answer := door.preflight(request.method, request.headers)) is not None:
            exchange.relay.whole(200, answer + exchange.extra, b"")
            return True
        if self._parts.policy.clients.is_open:
            door.check_origin(request.headers)
        return False

    def _listing(self, client: Client) -> Listing:
        """Returns the models and routes that the client may ask for."""
        listing, policy = self._fleet.view.listing, self._parts.policy.policy
        routes = [name for name, route in policy.table.routes.items() if is_open_to(route, name, client)]
        if policy.table.auto is not None and policy.table.auto.general in routes:
            routes.append(AUTO)
        if client.opens_all and not routes:
            return listing
        return listed_for(listing, routes, client.may_use_adapter, self._fleet.created)

    def _one_model(self, exchange: Exchange, client: Client, model: str) -> None:
        body = self._listing(client).by_id.get(model)
        if body is None:
            raise explained(ModelNotFound(model[:200]), self._parts.adapters(), client)
        exchange.relay.whole(200, _JSON + exchange.extra, body)

    def _health(self, exchange: Exchange) -> None:
        status = "ok" if self.ready else "draining" if self.draining else "unavailable"
        body = json.dumps({"status": status, "replicas_ready": self._fleet.view.ready}).encode()
        if not self.ready:
            exchange.result.fails(503)
        exchange.relay.whole(200 if self.ready else 503, _JSON + exchange.extra, body)

    async def _vote(self, exchange: Exchange) -> None:
        body = await exchange.arrival.request.body(self._config.body_timeout_s)
        taken = self._feedback.vote(body, exchange.asked.tenant)
        target, vote = taken.target, taken.vote
        if taken.new:
            self._metrics.requests.vote(target, vote)
            if vote == "down":
                self._parts.live_canaries.voted_down(taken.answer)
        said = {"object": "feedback", "model": target.revision or target.label, "vote": vote}
        exchange.relay.whole(200, _JSON + exchange.extra, json.dumps(said).encode())

    async def _forward(self, exchange: Exchange, client: Client) -> None:
        exchange.task = asyncio.current_task()
        self._work.add(exchange)
        deadline_s = self._deadline(exchange)
        try:
            if deadline_s is None:
                await self._ask(exchange, client, None)
            else:
                async with asyncio.timeout_at(deadline_s):
                    await self._ask(exchange, client, deadline_s)
        except TimeoutError as error:
            raise DeadlineExceeded("The answer was not whole within the time that it was given.") from error
        finally:
            exchange.task = None
            self._work.discard(exchange)

    async def _ask(self, exchange: Exchange, client: Client, deadline_s: float | None) -> None:
        try:
            target = await self._handler.answer(exchange, client, deadline_s)
        except ModelNotFound as error:
            raise explained(error, self._parts.adapters(), client) from error
        if exchange.result.outcome == "ok":
            self._feedback.answered(answer_key(exchange.asked.tenant, exchange.arrival.id), target)

    def _deadline(self, exchange: Exchange) -> float | None:
        """Returns the time by which the answer must be whole, by the event loop's clock, None for no limit.

        It is the earlier of the client's deadline and the configuration's limit.
        """
        given, limit = timeout_s(exchange.arrival.request.headers), self._config.request_timeout_s
        if given is None and limit is None:
            return None
        deadline_s = asyncio.get_running_loop().time() + min(filter(None, (given, limit)))
        if given is not None and (limit is None or given <= limit):
            exchange.client_deadline_s = deadline_s
        return deadline_s
