"""Forwarder of requests to replicas, with retries, hedging and continuation of broken streams.

It asks one replica after the other, or two at once, until one begins an answer. That is passed on to its end.
"""

import asyncio
import contextlib
import math
import random
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec

from patchbay.core.errors import AnswerUnreadable, ModelNotFound, RateLimited, RequestError, Unavailable, UpstreamFailed
from patchbay.router.fleet.fleet import Fleet
from patchbay.router.fleet.names import resolve
from patchbay.router.fleet.snapshot import Replica, Target
from patchbay.router.forward.carrier import Carrier
from patchbay.router.forward.exchange import Exchange
from patchbay.router.forward.relay import REDIRECTIONS
from patchbay.router.forward.retry_limit import RetryLimit
from patchbay.router.forward.status_verdicts import OWN_WORDS, Verdicts
from patchbay.router.forward.tries import Ask
from patchbay.router.forward.upstream_call import call_of
from patchbay.router.forward.upstreams import Attempt, Upstreams
from patchbay.router.http.headers import MISSING, provenance
from patchbay.router.settings.config import RouterConfig
from patchbay.router.telemetry.metrics import Metrics
from patchbay.router.upstream.failure import ReplicaFailure

# Time within which news of the registry and of replicas arrive, while all is well.
_UPDATE_S = 2.0
_PAUSE_S = 0.1
# An answer up to this size is gathered whole before it is passed on, so that it can still come from elsewhere.
_GATHER_BYTES = 1024 * 1024


class Forwarder:
    """Forwards requests to replicas and passes their answers on. `clock`: seconds, monotonic."""

    def __init__(
        self, *, config: RouterConfig, fleet: Fleet, upstreams: Upstreams, metrics: Metrics, clock: Callable[[], float]
    ) -> None:
        self._retry = config.retry
        self._hold_s = config.carry_timeout_s
        self._fleet = fleet
        self._upstreams = upstreams
        self._metrics = metrics
        self._clock = clock
        self._verdicts = Verdicts(upstreams)
        self._carrier = Carrier(config=config, fleet=fleet, upstreams=upstreams, metrics=metrics.replicas, clock=clock)

    async def forward(self, exchange: Exchange, ask: Ask) -> Target:
        """Answers `exchange` with a replica's answer to `ask`, and returns the target that answered in the end.

        Before the first byte each replica is asked once. Where one has died on the request, the others, and those that
        come back within `carry_timeout_s`, are asked once more each round.

        Raises Unavailable or UpstreamFailed where none answers, or where an answer that has begun cannot be continued;
        RateLimited where all replicas asked to be left alone; SuspectedQuery where replicas may die of the request.
        """
        self._upstreams.earn()
        exchange.tries.ask = ask
        try:
            return await self._forward(exchange, ask)
        finally:
            if exchange.tries.case is not None:
                self._upstreams.suspects.left(exchange.tries.case)

    async def _forward(self, exchange: Exchange, ask: Ask) -> Target:
        failure: RequestError | None = None
        queued = exchange.tries.turn is not None and exchange.tries.turn.queued
        tries, second_opinion = 0, False
        # A request that fell back to another model keeps the deaths that it saw at the first.
        seen = exchange.tries.case.deaths if exchange.tries.case is not None else 0
        retry_limit = RetryLimit(self._hold_s, self._retry.deaths, self._clock, queued=queued, deaths=seen)
        while not retry_limit.over:
            replica = self._upstreams.pick(exchange, ask)
            if replica is None:
                if not self._may_wait(ask, retry_limit):
                    break
                exchange.tries.tried.clear()
                await self._fleet.changed(_PAUSE_S)
                continue
            # The budget was charged for a second opinion on a 500 when it was decided on (`Verdicts`).
            if tries and not second_opinion and not self._upstreams.may_try_again():
                break
            await self._upstreams.admit(exchange, ask)
            tries += 1
            exchange.tries.tried.add(replica.name)
            try:
                attempt = await self._begin_answer(exchange, ask, replica)
            except ReplicaFailure as error:
                if error.kind == "timeout":
                    raise UpstreamFailed(f"The replica failed: {error.message}.") from error
                failure, second_opinion = _error_for_client(error), error.kind == "error"
                retry_limit.failed(error)
                await self._back_off(tries)
                continue
            if attempt.answer.status == 503 and (target := await self._changed_target(ask, attempt)) is not None:
                exchange.tries.ask = ask = msgspec.structs.replace(ask, target=target)
                exchange.tries.tried.clear()
                continue
            await self._pass_on(exchange, ask, attempt)
            return ask.answerer
        raise failure or Unavailable(f"No replica that serves '{ask.target.label}' can be asked now.")

    def _may_wait(self, ask: Ask, retry_limit: RetryLimit) -> bool:
        """Whether to wait until a replica can be asked, where none can now. Raises RateLimited where all replicas said
        when to come again."""
        retry_limit.none_available()
        if paused_s := self._upstreams.paused_s(ask):
            message = f"Every replica that serves '{ask.target.label}' has asked to be left alone for a while."
            raise RateLimited(message, retry_after_s=math.ceil(paused_s), of_route=True)
        return retry_limit.is_waiting and self._upstreams.ejected_s(ask) < retry_limit.left_s

    def _begin_answer(self, exchange: Exchange, ask: Ask, replica: Replica) -> Coroutine[Any, Any, Attempt]:
        """Waits for an answer to begin, at `replica` or at a second one that is asked as well when it is slow.

        Source: J. Dean and L. A. Barroso, "The tail at scale", CACM 56(2), 2013 (hedged requests).
        """
        # A request under which a replica died is not hedged: it might end two replicas at once.
        if self._retry.hedge_after_s is None or exchange.tries.case is not None:
            return self._ask(exchange, ask, replica)
        return self._hedged(exchange, ask, replica)

    async def _hedged(self, exchange: Exchange, ask: Ask, replica: Replica) -> Attempt:
        tasks = [asyncio.create_task(self._ask(exchange, ask, replica))]
        winner: asyncio.Task[Attempt] | None = None
        try:
            await asyncio.wait(tasks, timeout=self._retry.hedge_after_s)
            if not tasks[0].done() and (other := self._pick_hedge(exchange, ask)) is not None:
                tasks.append(asyncio.create_task(self._ask(exchange, ask, other)))
            winner = await _first_success(tasks)
            return winner.result()
        finally:
            await _cancel([task for task in tasks if task is not winner])

    def _pick_hedge(self, exchange: Exchange, ask: Ask) -> Replica | None:
        other = self._upstreams.pick(exchange, ask)
        if other is None or not self._upstreams.may_try_again():
            return None
        exchange.tries.tried.add(other.name)
        self._metrics.replicas.hedged()
        return other

    async def _ask(self, exchange: Exchange, ask: Ask, replica: Replica) -> Attempt:
        call = call_of(exchange, ask, replica, self._upstreams.links[replica.name])
        attempt = await self._upstreams.ask(exchange, replica, call)
        try:
            self._check_status(attempt, exchange, ask)
            if not attempt.answer.whole and not attempt.answer.is_event_stream:
                # While nothing of it has been passed on, another replica can still answer instead.
                await attempt.answer.gather(_GATHER_BYTES)
        except BaseException as error:
            try:
                if isinstance(error, ReplicaFailure):
                    self._upstreams.failed(exchange, attempt, error)
            finally:
                attempt.close()
            raise
        self._upstreams.began(exchange, attempt)
        return attempt

    def _check_status(self, attempt: Attempt, exchange: Exchange, ask: Ask) -> None:
        """Raises ReplicaFailure for an answer that is about the replica and not about the request."""
        status = attempt.answer.status
        if status < 400:
            return
        failure = self._verdicts.of(exchange, attempt, ask)
        if failure is None:
            return
        # Where no replica is left, the last one's own answer explains best why it takes no work.
        if (status == 503 or failure.kind in OWN_WORDS) and self._upstreams.pick(exchange, ask) is None:
            if failure.kind == "gateway":
                self._upstreams.failed(exchange, attempt, failure)
            return
        raise failure

    async def _changed_target(self, ask: Ask, attempt: Attempt) -> Target | None:
        """Returns the target to ask next, and closes `attempt`, a 503, where the replica does not have the old one.

        A router that was held up may still go by a revision that is gone, and a replica that was started again gets its
        revisions one after the other. So it waits for news: the name's new target, or the old one, which has come to
        the replica since. None where the replica answered, or where no news come.
        """
        if not attempt.answer.has(MISSING):
            return None
        name, was_there = attempt.replica.name, True
        self._fleet.doubt(name)
        end_s = self._clock() + _UPDATE_S
        while self._clock() < end_s:
            target = self._meant_now(ask)
            is_there = self._fleet.holds(name, target)
            if target.engine_name != ask.target.engine_name or (is_there and not was_there):
                attempt.close()
                return target
            was_there = is_there
            await self._fleet.changed(end_s - self._clock())
        return None

    def _meant_now(self, ask: Ask) -> Target:
        """Returns what the name means now, or the old target where nothing has it at the moment."""
        with contextlib.suppress(ModelNotFound, Unavailable):
            return resolve(ask.model, self._fleet.view.table, self._fleet.view.replicas)
        return ask.target

    async def _pass_on(self, exchange: Exchange, ask: Ask, attempt: Attempt) -> None:
        answer, endpoint = attempt.answer, exchange.asked.endpoint
        if answer.status >= 500 and exchange.entry is not None and exchange.entry.arm == "canary":
            # The error makes the request go to the stable revision, which may do better.
            attempt.close()
            raise UpstreamFailed(f"'{ask.model}' answered {answer.status}.")
        target = ask.answerer
        exchange.comes_from(target, attempt.replica.name)
        exchange.extra.extend(provenance(ask.route or ask.model, target, attempt.replica.name))
        exchange.begin()
        began_s = self._clock()
        # A redirection, which is not followed, is the replica's fault.
        status = 502 if answer.status in REDIRECTIONS else answer.status
        exchange.result.begins(began_s, status, cold=_is_cold(attempt.replica, ask.target))
        self._metrics.requests.first_byte(endpoint.name, began_s - exchange.arrival.started_s)
        try:
            with attempt:
                await self._relay(exchange, attempt)
        except ReplicaFailure as error:
            await self._carrier.carry_on(exchange, ask, error)
        if exchange.tries.case is not None and answer.status < 400:
            self._upstreams.suspects.answered(exchange.tries.case)

    async def _relay(self, exchange: Exchange, attempt: Attempt) -> None:
        try:
            ends_with_done = exchange.asked.endpoint.ends_with_done
            await exchange.relay.run(
                attempt.answer, exchange.extra, ends_with_done=ends_with_done, foreign=_is_foreign(attempt.replica)
            )
        except ReplicaFailure as error:
            self._upstreams.failed(exchange, attempt, error)
            raise
        except AnswerUnreadable:
            self._metrics.replicas.failed(attempt.replica.name, "protocol")
            raise

    async def _back_off(self, tries: int) -> None:
        """Waits for a random time, whose bound doubles with each try.

        Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015 (full jitter).
        """
        longest_s = min(self._retry.backoff_s * 2 ** (tries - 1), self._retry.max_backoff_s)
        await asyncio.sleep(random.uniform(0, longest_s))  # noqa: S311 - no secret


async def _first_success(tasks: list[asyncio.Task[Attempt]]) -> asyncio.Task[Attempt]:
    """Waits for the first task that gives an answer. Returns the last failed one where none does."""
    waiting: set[asyncio.Task[Attempt]] = set(tasks)
    while True:
        done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        succeeded = [task for task in done if task.exception() is None]
        if succeeded:
            return succeeded[0]
        if not waiting:
            return done.pop()


async def _cancel(tasks: list[asyncio.Task[Attempt]]) -> None:
    """Cancels the tasks that lost the race, and closes the attempts of those that were done already."""
    for task in tasks:
        task.cancel()
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(result, Attempt):
            result.close()


def _is_foreign(replica: Replica) -> bool:
    """Whether the replica is another server than one of ours."""
    return replica.catalog is not None and replica.catalog.plain


def _is_cold(replica: Replica, target: Target) -> bool:
    """Whether the revision was in no slot when the replica was asked, by the replica's last status."""
    return bool(target.revision and replica.tiers) and replica.tiers.get(target.engine_name) != "slot"


def _error_for_client(error: ReplicaFailure) -> RequestError:
    if error.kind == "connect":
        return Unavailable("No replica could be reached.")
    return UpstreamFailed(f"No replica could answer: {error.message}.")
