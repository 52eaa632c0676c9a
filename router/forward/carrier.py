"""Continuation of streams whose replica failed: other replicas go on with them, until they are whole."""

import asyncio
import logging
from collections.abc import Callable

import msgspec

from patchbay.core.errors import UpstreamFailed
from patchbay.router.carry.continuation import COMPLETIONS, Continuation, Rest, Tail, continuation
from patchbay.router.fleet.fleet import Fleet
from patchbay.router.fleet.snapshot import Replica
from patchbay.router.forward.exchange import Exchange
from patchbay.router.forward.retry_limit import RetryLimit
from patchbay.router.forward.tries import Ask
from patchbay.router.forward.upstream_call import call_of
from patchbay.router.forward.upstreams import Upstreams
from patchbay.router.settings.config import RouterConfig
from patchbay.router.telemetry.replica_metrics import ReplicaMetrics
from patchbay.router.upstream.failure import ReplicaFailure

_log = logging.getLogger("patchbay.router")
_PAUSE_S = 0.1


class Carrier:
    """Continues broken streams on other replicas. `clock`: seconds, monotonic."""

    def __init__(
        self,
        *,
        config: RouterConfig,
        fleet: Fleet,
        upstreams: Upstreams,
        metrics: ReplicaMetrics,
        clock: Callable[[], float],
    ) -> None:
        self._timeout_s = config.carry_timeout_s
        self._deaths = config.retry.deaths
        self._fleet = fleet
        self._upstreams = upstreams
        self._metrics = metrics
        self._clock = clock

    async def carry_on(self, exchange: Exchange, ask: Ask, error: ReplicaFailure) -> None:
        """Continues the stream of `exchange` that broke by `error`.

        Raises UpstreamFailed where that is not possible, and SuspectedQuery where the stream may be what replicas die
        of.
        """
        relay, retry_limit = exchange.relay, RetryLimit(self._timeout_s, self._deaths, self._clock)
        # What the client got so far counts as progress: the time limit begins with the break.
        retry_limit.progressed()
        case = self._upstreams.case(exchange, ask)
        while (plan := self._plan(exchange, ask)) is not None and not retry_limit.over:
            if isinstance(plan, Tail):
                await relay.finish(plan.events)
                self._metrics.carried("whole")
                return
            replica = self._upstreams.pick(exchange, ask)
            if replica is None or not self._upstreams.may_try_again():
                # All were tried. One that comes back may be asked again.
                exchange.tries.tried.clear()
                await asyncio.sleep(_PAUSE_S)
                continue
            self._upstreams.suspects.check(case)
            exchange.tries.tried.add(replica.name)
            sent_before = relay.sent_bytes
            try:
                await self._continue_on(exchange, ask, replica, plan)
            except ReplicaFailure as next_error:
                error = next_error
                retry_limit.failed(next_error)
                if relay.sent_bytes > sent_before:
                    retry_limit.progressed()
            else:
                self._metrics.carried("whole")
                return
        if relay.event_stream:
            self._metrics.carried("broken")
        raise UpstreamFailed(f"The replica failed: {error.message}.") from error

    def _plan(self, exchange: Exchange, ask: Ask) -> Continuation | None:
        """Plans how the stream goes on from what the client has now. None where it cannot."""
        transcript = exchange.relay.transcript
        if transcript is None or not exchange.relay.event_stream:
            return None
        # A stream may go on at any replica, so the smallest context counts.
        contexts = [replica.catalog.context for replica in self._fleet.view.replicas if replica.catalog is not None]
        chat = exchange.arrival.request.path != COMPLETIONS
        return continuation(ask.body, transcript, chat=chat, context=min(filter(None, contexts), default=None))

    async def _continue_on(self, exchange: Exchange, ask: Ask, replica: Replica, plan: Continuation) -> None:
        call, translate = call_of(exchange, ask, replica, self._upstreams.links[replica.name]), None
        if isinstance(plan, Rest):
            call, translate = msgspec.structs.replace(call, path=COMPLETIONS, body=plan.body), plan.translate
        with await self._upstreams.ask(exchange, replica, call) as attempt:
            answer = attempt.answer
            if answer.status != 200 or not answer.is_event_stream:
                raise ReplicaFailure(f"it does not go on with the stream ({answer.status})", kind="busy")
            self._upstreams.began(exchange, attempt, midway=exchange.relay.sent_bytes > 0)
            _log.info("request %s: replica %s goes on with it", exchange.arrival.id.decode(), replica.name)
            try:
                await exchange.relay.resume(answer, translate)
            except ReplicaFailure as error:
                self._upstreams.failed(exchange, attempt, error)
                raise
