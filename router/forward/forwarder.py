"""Asks replicas, one after the other or two at once, until one begins an answer; then passes it on to its end."""

import asyncio
import contextlib
import math
import random
from collections.abc import Callable
from dataclasses import replace

from patchbay.core.errors import AnswerUnreadable, ModelNotFound, RateLimited, RequestError, Unavailable, UpstreamFailed
from patchbay.router.config import RouterConfig
from patchbay.router.fleet.fleet import Fleet
from patchbay.router.fleet.names import resolve
from patchbay.router.fleet.snapshot import Replica, Target
from patchbay.router.forward.carrier import Carrier
from patchbay.router.forward.exchange import Ask, Exchange
from patchbay.router.forward.retry_limit import RetryLimit
from patchbay.router.forward.status_verdicts import OWN_WORDS, Verdicts
from patchbay.router.forward.upstream_call import call_of
from patchbay.router.forward.upstreams import Attempt, Upstreams
from patchbay.router.http.headers import MISSING, provenance
from patchbay.router.telemetry.metrics import Metrics
from patchbay.router.upstream.failure import ReplicaFailure

# How long the registry's and the replicas' news take at most, while all is well.
_NEWS_S = 1.0
_LOOK_S = 0.02
_PAUSE_S = 0.1
_HELD_BYTES = 1024 * 1024


class Forwarder:
    """The way of a request to its answer. `clock`: seconds, monotonic."""

    def __init__(
        self, config: RouterConfig, fleet: Fleet, upstreams: Upstreams, metrics: Metrics, clock: Callable[[], float]
    ) -> None:
        self._retry = config.retry
        self._hold_s = config.carry_timeout_s
        self._fleet = fleet
        self._upstreams = upstreams
        self._metrics = metrics
        self._clock = clock
        self._verdicts = Verdicts(upstreams)
        self._carrier = Carrier(config, fleet, upstreams, metrics, clock)

    async def forward(self, exchange: Exchange, ask: Ask) -> Target:
        """Answers `exchange` with what a replica says to `ask`, and returns who that was in the end.

        Before the first byte each replica is asked once; where one has died on the request, others that are there, or
        come back within `carry_timeout_s`, once more each round. Raises Unavailable or UpstreamFailed where none
        answers, and once the answer has begun where it cannot be ended as if nothing had happened; and SuspectedQuery
        where replicas may die of it.
        """
        self._upstreams.earn()
        exchange.ask = ask
        try:
            return await self._forward(exchange, ask)
        finally:
            if exchange.case is not None:
                self._upstreams.suspects.left(exchange.case)

    async def _forward(self, exchange: Exchange, ask: Ask) -> Target:
        failure: RequestError = Unavailable(f"No replica that serves '{ask.target.label}' can be asked now.")
        queued = exchange.turn is not None and exchange.turn.queued
        tries, second_opinion = 0, False
        seen = exchange.case.deaths if exchange.case is not None else 0
        retry_limit = RetryLimit(self._hold_s, self._retry.deaths, self._clock, queued=queued, deaths=seen)
        while not retry_limit.over:
            replica = self._upstreams.pick(exchange, ask)
            if replica is None:
                if not self._is_waited_for(ask, retry_limit):
                    break
                exchange.tried.clear()
                await asyncio.sleep(_PAUSE_S)
                continue
            # A second opinion on a 500 is paid for already.
            if tries and not second_opinion and not self._upstreams.may_try_again():
                break
            await self._upstreams.admit(exchange, ask)
            tries += 1
            exchange.tried.add(replica.name)
            try:
                attempt = await self._begin(exchange, ask, replica)
            except ReplicaFailure as error:
                if error.kind == "timeout":
                    raise UpstreamFailed(f"The replica failed: {error.message}.") from error
                failure, second_opinion = _as_answer(error), error.kind == "error"
                retry_limit.failed(error)
                await self._back_off(tries)
                continue
            if (moved := await self._moved(exchange, ask, attempt)) is not None:
                exchange.ask = ask = replace(ask, target=moved)
                exchange.tried.clear()
                continue
            await self._pass_on(exchange, ask, attempt)
            return _armed(ask)
        raise failure

    def _is_waited_for(self, ask: Ask, retry_limit: RetryLimit) -> bool:
        """Whether it is waited for somebody who can be asked, where nobody can now. Raises RateLimited where all have
        said when to come again."""
        retry_limit.alone()
        if paused_s := self._upstreams.paused_s(ask):
            said = f"Every replica that serves '{ask.target.label}' has asked to be left alone for a while."
            raise RateLimited(said, retry_after_s=math.ceil(paused_s), of_route=True)
        return retry_limit.waits and self._upstreams.shut_s(ask) < retry_limit.left_s

    async def _begin(self, exchange: Exchange, ask: Ask, replica: Replica) -> Attempt:
        """An answer's beginning, by `replica`, or by another that is asked as well when it is slow."""
        # What a replica has died under is asked of one other, and not of two at once.
        if self._retry.hedge_after_s is None or exchange.case is not None:
            return await self._ask(exchange, ask, replica)
        tasks = [asyncio.create_task(self._ask(exchange, ask, replica))]
        winner: asyncio.Task[Attempt] | None = None
        try:
            await asyncio.wait(tasks, timeout=self._retry.hedge_after_s)
            if not tasks[0].done() and (other := self._second(exchange, ask)) is not None:
                tasks.append(asyncio.create_task(self._ask(exchange, ask, other)))
            winner = await _first_good(tasks)
            return winner.result()
        finally:
            await _close([task for task in tasks if task is not winner])

    def _second(self, exchange: Exchange, ask: Ask) -> Replica | None:
        other = self._upstreams.pick(exchange, ask)
        if other is None or not self._upstreams.may_try_again():
            return None
        exchange.tried.add(other.name)
        self._metrics.hedged()
        return other

    async def _ask(self, exchange: Exchange, ask: Ask, replica: Replica) -> Attempt:
        call = call_of(exchange, ask, replica, self._upstreams.links[replica.name])
        attempt = await self._upstreams.ask(exchange, replica, call)
        try:
            self._accept(attempt, exchange, ask)
            if not attempt.answer.whole and not attempt.answer.is_event_stream:
                # Until all of it is here it can be had from another replica instead.
                await attempt.answer.gather(_HELD_BYTES)
        except BaseException as error:
            try:
                if isinstance(error, ReplicaFailure):
                    self._upstreams.failed(exchange, attempt, error)
            finally:
                attempt.close()
            raise
        self._upstreams.began(exchange, attempt)
        return attempt

    def _accept(self, attempt: Attempt, exchange: Exchange, ask: Ask) -> None:
        """Raises ReplicaFailure for an answer that is about the replica and not about the request."""
        status = attempt.answer.status
        if status < 400:
            return
        failure = self._verdicts.of(exchange, attempt, ask)
        if failure is None:
            return
        # The last one's own words on why it takes no work are better than any of ours.
        if (status == 503 or failure.kind in OWN_WORDS) and self._upstreams.pick(exchange, ask) is None:
            if failure.kind == "gateway":
                self._upstreams.failed(exchange, attempt, failure)
            return
        raise failure

    async def _moved(self, exchange: Exchange, ask: Ask, attempt: Attempt) -> Target | None:
        """What the name means by now, where the replica has not got what it meant: a router that was held up may go by
        a revision that is gone. Closes `attempt` then."""
        if attempt.answer.status != 503 or not attempt.answer.has(MISSING):
            return None
        self._fleet.doubt(attempt.replica.name)
        end_s = self._clock() + _NEWS_S
        while self._clock() < end_s:
            with contextlib.suppress(ModelNotFound, Unavailable):
                now = resolve(ask.model, self._fleet.view.table, self._fleet.view.replicas)
                if now.engine_name != ask.target.engine_name:
                    attempt.close()
                    return now
            await asyncio.sleep(_LOOK_S)
        return None

    async def _pass_on(self, exchange: Exchange, ask: Ask, attempt: Attempt) -> None:
        answer, endpoint = attempt.answer, exchange.endpoint
        if answer.status >= 500 and exchange.entry is not None and exchange.entry.arm == "canary":
            # The stable revision can do better than pass this on.
            attempt.close()
            raise UpstreamFailed(f"'{ask.model}' answered {answer.status}.")
        armed = _armed(ask)
        exchange.comes_from(armed, attempt.replica.name)
        exchange.extra += provenance(ask.route or ask.model, armed, attempt.replica.name)
        exchange.begin()
        exchange.began_s = self._clock()
        exchange.cold = _is_cold(attempt.replica, ask.target)
        self._metrics.first_byte(endpoint.name, exchange.began_s - exchange.started_s)
        if answer.status >= 400:
            exchange.outcome = "client_error" if answer.status < 500 else "server_error"
        try:
            with attempt:
                await self._run(exchange, attempt)
        except ReplicaFailure as error:
            await self._carrier.carry_on(exchange, ask, error)
        if exchange.case is not None and answer.status < 400:
            self._upstreams.suspects.answered(exchange.case)

    async def _run(self, exchange: Exchange, attempt: Attempt) -> None:
        try:
            ends_with_done = exchange.endpoint.ends_with_done
            await exchange.relay.run(attempt.answer, exchange.extra, ends_with_done=ends_with_done)
        except ReplicaFailure as error:
            self._upstreams.failed(exchange, attempt, error)
            raise
        except AnswerUnreadable:
            self._metrics.upstream_failure(attempt.replica.name, "protocol")
            raise

    async def _back_off(self, tries: int) -> None:
        """Waits for a random time, which grows with each try. Source: M. Brooker, "Exponential Backoff And Jitter",
        AWS Architecture Blog, 2015 (full jitter)."""
        longest_s = min(self._retry.backoff_s * 2 ** (tries - 1), self._retry.max_backoff_s)
        await asyncio.sleep(random.uniform(0, longest_s))  # noqa: S311 - no secret


async def _first_good(tasks: list[asyncio.Task[Attempt]]) -> asyncio.Task[Attempt]:
    """The first that gives an answer. Raises what the last one raised where none does."""
    waiting: set[asyncio.Task[Attempt]] = set(tasks)
    while True:
        done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        good = [task for task in done if task.exception() is None]
        if good:
            return good[0]
        if not waiting:
            return done.pop()


async def _close(tasks: list[asyncio.Task[Attempt]]) -> None:
    """Ends what lost the race."""
    for task in tasks:
        task.cancel()
    for ended in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(ended, Attempt):
            ended.close()


def _is_cold(replica: Replica, target: Target) -> bool:
    """Whether the revision was not in a slot when the replica was asked, by what it told last."""
    return bool(target.revision and replica.tiers) and replica.tiers.get(target.engine_name) != "slot"


def _armed(ask: Ask) -> Target:
    return ask.target if ask.arm is None else replace(ask.target, arm=ask.arm)


def _as_answer(error: ReplicaFailure) -> RequestError:
    if error.kind == "connect":
        return Unavailable("No replica could be reached.")
    return UpstreamFailed(f"No replica could answer: {error.message}.")
