"""The public port: from a request to a replica's answer.

A bare application on asyncio protocols, since every token passes here. `Proxy` finds the endpoint, reads the body once,
asks `routes` what the model means and `balancer` who takes it, and lets `relay` pass the answer on.
"""

import asyncio
import json
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from adapters.asgi import Headers
from adapters.errors import ModelNotFound, RequestError, Unavailable, UpstreamFailed
from router.balancer import pick
from router.body import parse_head
from router.carry.continuation import COMPLETIONS, Again, Continuation, Rest, Tail, continuation
from router.carry.transcript import TOKEN_IDS, Transcript
from router.config import RouterConfig
from router.endpoints import HEALTH, MODEL, MODEL_PREFIX, MODELS, OTHER, Endpoint, find_endpoint
from router.fleet import Fleet
from router.headers import REQUEST_ID, REVISION, request_id, upstream_headers
from router.keys import KeyRing
from router.metrics import Metrics, Outcome
from router.relay import Relay
from router.routes import resolve
from router.snapshot import Replica, Target
from router.upstream.client import Answer, Call, ReplicaClient
from router.upstream.failure import ReplicaFailure
from router.wire.request import Reply, Request

_log = logging.getLogger("patchbay.router")
_CARRY_PAUSE_S = 0.1
_JSON: Headers = [(b"content-type", b"application/json")]


@dataclass(frozen=True, slots=True)
class Link:
    """A replica's connections and the token it wants to see."""

    client: ReplicaClient
    token: str | None

    @property
    def authorization(self) -> bytes | None:
        """The header's value that shows the token."""
        return f"Bearer {self.token}".encode() if self.token is not None else None


@dataclass(slots=True, eq=False)
class Exchange:
    """One request, and how far its answer has come. `extra`: the router's own headers on the answer; `tried`: the
    replicas that were asked."""

    request: Request
    relay: Relay
    id: bytes
    started_s: float
    endpoint: Endpoint = OTHER
    label: str = ""
    outcome: Outcome = "ok"
    read_bytes: int = 0
    extra: Headers = field(default_factory=list)
    tried: set[str] = field(default_factory=set)
    stream: bool = False
    task: asyncio.Task[None] | None = None
    cause: RequestError | None = None

    def interrupt(self, cause: RequestError) -> None:
        """Ends the work on it: its client is told of `cause`."""
        if self.task is not None and self.cause is None:
            self.cause = cause
            self.task.cancel()


class Proxy:
    """The application of the public port. `clock`: seconds, monotonic."""

    def __init__(
        self,
        config: RouterConfig,
        fleet: Fleet,
        links: Mapping[str, Link],
        metrics: Metrics,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._config = config
        self._fleet = fleet
        self._links = links
        self._metrics = metrics
        self._clock = clock
        self._keys = KeyRing(key.get_secret_value() for key in config.api_keys)
        self._at_replica: Counter[str] = Counter()
        self._turn = 0
        self._work: set[Exchange] = set()
        self._open = 0
        self.draining = False

    @property
    def in_flight(self) -> int:
        """Requests being answered."""
        return self._open

    @property
    def ready(self) -> bool:
        """Whether a new request can be answered."""
        return not self.draining and self._fleet.settled and self._fleet.view.ready > 0

    def at_replica(self, name: str) -> int:
        """Requests that a replica is answering for this router."""
        return self._at_replica[name]

    def interrupt(self) -> None:
        """Ends every request that is at a replica, with an error that its client can read."""
        for exchange in list(self._work):
            exchange.interrupt(Unavailable("The router is shutting down."))

    async def __call__(self, request: Request, reply: Reply) -> None:
        given = request_id(request.headers)
        exchange = Exchange(request, Relay(reply), given, self._clock(), extra=[(REQUEST_ID, given)])
        self._open += 1
        try:
            await self._guarded(exchange)
        finally:
            self._open -= 1
            self._metrics.request(exchange.endpoint.name, exchange.outcome, exchange.label)
            self._metrics.bytes_passed(exchange.read_bytes, exchange.relay.sent_bytes)

    async def _guarded(self, exchange: Exchange) -> None:
        """Answers a request, whatever happens. The one place where an error becomes an answer."""
        try:
            await self._answer(exchange)
        except asyncio.CancelledError:
            if exchange.request.gone:
                exchange.outcome = "cancelled"
            elif exchange.cause is not None:
                self._fail(exchange, exchange.cause)
            else:
                raise
        except RequestError as error:
            self._fail(exchange, error)
        except Exception:  # noqa: BLE001 - the outermost loop: logged and counted
            _log.exception("request %s failed in the router", exchange.id.decode())
            self._metrics.fault("proxy")
            self._fail(exchange, RequestError("The router failed to answer this request."))

    def _fail(self, exchange: Exchange, error: RequestError) -> None:
        broken = exchange.relay.head_sent
        exchange.outcome = "broken" if broken else "client_error" if error.status < 500 else "server_error"
        exchange.relay.fail(error, exchange.extra)

    async def _answer(self, exchange: Exchange) -> None:
        request = exchange.request
        path = request.path
        if path.startswith("/v1/"):
            self._keys.check(request.headers)
        endpoint = exchange.endpoint = find_endpoint(request.method, path)
        if endpoint.forwarded:
            await self._forward(exchange)
        elif endpoint is MODELS:
            exchange.relay.whole(200, _JSON + exchange.extra, self._fleet.view.listing.whole)
        elif endpoint is MODEL:
            self._one_model(exchange, path[len(MODEL_PREFIX) :])
        elif endpoint is HEALTH:
            self._health(exchange)

    def _one_model(self, exchange: Exchange, model: str) -> None:
        body = self._fleet.view.listing.one.get(model)
        if body is None:
            raise ModelNotFound(model[:200])
        exchange.relay.whole(200, _JSON + exchange.extra, body)

    def _health(self, exchange: Exchange) -> None:
        status = "ok" if self.ready else "draining" if self.draining else "unavailable"
        body = json.dumps({"status": status, "replicas_ready": self._fleet.view.ready}).encode()
        if not self.ready:
            exchange.outcome = "server_error"
        exchange.relay.whole(200 if self.ready else 503, _JSON + exchange.extra, body)

    async def _forward(self, exchange: Exchange) -> None:
        body = await exchange.request.body(self._config.body_timeout_s)
        exchange.read_bytes = len(body)
        view = self._fleet.view
        head = parse_head(body)
        target = resolve(head.model, view.table, view.replicas)
        exchange.label = target.label
        exchange.stream = bool(head.stream)
        exchange.task = asyncio.current_task()
        self._work.add(exchange)
        try:
            await self._attempts(exchange, target, body)
        finally:
            exchange.task = None
            self._work.discard(exchange)

    async def _attempts(self, exchange: Exchange, target: Target, body: bytes) -> None:
        """Asks one replica after the other, each at most once, until one begins an answer."""
        failure: RequestError = Unavailable(f"No replica that serves '{target.label}' is ready.")
        while (replica := self._pick(exchange, target)) is not None:
            exchange.tried.add(replica.name)
            try:
                await self._attempt(exchange, target, replica, body)
            except ReplicaFailure as error:
                self._note(exchange, replica, error)
                if exchange.relay.head_sent:
                    await self._carry_on(exchange, target, body, error)
                    return
                if error.kind == "timeout":
                    raise UpstreamFailed(f"The replica failed: {error.message}.") from error
                failure = _as_answer(error)
            else:
                return
        raise failure

    def _pick(self, exchange: Exchange, target: Target) -> Replica | None:
        self._turn += 1
        return pick(self._fleet.view.replicas, target, self._at_replica, self._turn, exchange.tried)

    async def _attempt(self, exchange: Exchange, target: Target, replica: Replica, body: bytes) -> None:
        call = self._call(exchange, target, replica, body)
        async with self._answer_of(replica, call) as answer:
            self._accept(answer, exchange, target)
            await self._relay(exchange, target, replica, answer)

    @asynccontextmanager
    async def _answer_of(self, replica: Replica, call: Call) -> AsyncIterator[Answer]:
        """What `replica` answers to `call`, counted as in flight there. Raises ReplicaFailure."""
        self._at_replica[replica.name] += 1
        try:
            answer = await self._links[replica.name].client.open(call)
            try:
                yield answer
            finally:
                answer.close()
        finally:
            self._at_replica[replica.name] -= 1

    async def _carry_on(self, exchange: Exchange, target: Target, body: bytes, error: ReplicaFailure) -> None:
        """Goes on with a stream whose replica failed, on others, until it is whole. Raises UpstreamFailed where that
        cannot be."""
        relay, deadline = exchange.relay, self._clock() + self._config.carry_timeout_s
        while (plan := self._continuation(exchange, target, body)) is not None and self._clock() < deadline:
            if isinstance(plan, Tail):
                relay.finish(plan.events)
                self._metrics.carried("whole")
                return
            replica = self._pick(exchange, self._fleet.view.table.get(target.engine_name) or target)
            if replica is None:
                # All were tried: those that come back may be asked again.
                exchange.tried.clear()
                await asyncio.sleep(_CARRY_PAUSE_S)
                continue
            exchange.tried.add(replica.name)
            sent = relay.sent_bytes
            try:
                await self._rest(exchange, target, replica, plan, body)
            except ReplicaFailure as again:
                self._note(exchange, replica, again)
                error = again
                if relay.sent_bytes > sent:
                    deadline = self._clock() + self._config.carry_timeout_s
            else:
                self._metrics.carried("whole")
                return
        if relay.event_stream:
            self._metrics.carried("broken")
        raise UpstreamFailed(f"The replica failed: {error.message}.") from error

    def _continuation(self, exchange: Exchange, target: Target, body: bytes) -> Continuation | None:
        transcript = exchange.relay.transcript
        if transcript is None or not exchange.relay.event_stream:
            return None
        contexts = [replica.catalog.context for replica in self._fleet.view.replicas if replica.catalog is not None]
        chat = exchange.request.path != COMPLETIONS
        return continuation(body, transcript, chat=chat, context=min(filter(None, contexts), default=None))

    async def _rest(
        self, exchange: Exchange, target: Target, replica: Replica, plan: Rest | Again, body: bytes
    ) -> None:
        call, translate = self._call(exchange, target, replica, body), None
        if isinstance(plan, Rest):
            call, translate = replace(call, path=COMPLETIONS, body=plan.body), plan.translate
        async with self._answer_of(replica, call) as answer:
            if answer.status != 200 or not answer.is_event_stream:
                raise ReplicaFailure(f"it does not go on with the stream ({answer.status})", kind="busy")
            _log.info("request %s: replica %s goes on with it", exchange.id.decode(), replica.name)
            await exchange.relay.resume(answer, translate)

    def _call(self, exchange: Exchange, target: Target, replica: Replica, body: bytes) -> Call:
        request = exchange.request
        query = request.query.decode("latin-1")
        headers = upstream_headers(request.headers, exchange.id, self._links[replica.name].authorization)
        if target.revision is not None:
            headers.append((REVISION, target.engine_name.encode()))
        ours = replica.catalog is not None and not replica.catalog.plain
        if ours and exchange.stream and exchange.endpoint.ends_with_done:
            headers.append((TOKEN_IDS, b"1"))
            exchange.relay.transcript = exchange.relay.transcript or Transcript()
        return Call(request.method, f"{request.path}?{query}" if query else request.path, headers, body)

    def _accept(self, answer: Answer, exchange: Exchange, target: Target) -> None:
        """Raises ReplicaFailure for an answer that is about the replica and not about the request."""
        if answer.status in (401, 403):
            raise ReplicaFailure("it refused the router's token", kind="refused")
        # The last one's own words on why it takes no work are better than any of ours.
        if answer.status == 503 and self._pick(exchange, target) is not None:
            raise ReplicaFailure("it takes no work now (503)", kind="busy")

    async def _relay(self, exchange: Exchange, target: Target, replica: Replica, answer: Answer) -> None:
        exchange.extra.append((b"x-patchbay-replica", replica.name.encode()))
        if target.revision is not None:
            exchange.extra.append((b"x-patchbay-adapter", target.revision.encode()))
        endpoint = exchange.endpoint
        self._metrics.first_byte(endpoint.name, self._clock() - exchange.started_s)
        if answer.status >= 400:
            exchange.outcome = "client_error" if answer.status < 500 else "server_error"
        await exchange.relay.run(answer, exchange.extra, ends_with_done=endpoint.ends_with_done)

    def _note(self, exchange: Exchange, replica: Replica, error: ReplicaFailure) -> None:
        _log.warning("request %s: replica %s failed: %s", exchange.id.decode(), replica.name, error.message)
        self._metrics.upstream_failure(replica.name, error.kind)
        if error.kind == "connect":
            self._fleet.mark_unready(replica.name, error.message)
        else:
            self._fleet.doubt(replica.name)


def _as_answer(error: ReplicaFailure) -> RequestError:
    if error.kind == "connect":
        return Unavailable("No replica could be reached.")
    return UpstreamFailed(f"No replica could answer: {error.message}.")
