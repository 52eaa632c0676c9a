"""Shadow traffic: copies of requests to another arm. Their answers are kept beside the clients', and sent to nobody.

Copies use spare capacity only: there is none while a request waits for a turn, or while as many copies are under way as
may be.
"""

import asyncio
import contextlib
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import msgspec

from patchbay.core.errors import ModelNotFound, RequestError
from patchbay.core.json_body import UNREADABLE, with_model
from patchbay.core.offload import Offload
from patchbay.router.admission.admission import Admission, AdmissionRequest, Turn
from patchbay.router.admission.scheduler import Waiting
from patchbay.router.canary.live import LiveCanaries
from patchbay.router.forward.exchange import Exchange
from patchbay.router.forward.internal_calls import InternalClient
from patchbay.router.forward.tries import Ask
from patchbay.router.routes.sampling import uniform
from patchbay.router.routes.table import Choice
from patchbay.router.telemetry.request_metrics import RequestMetrics
from patchbay.router.upstream.failure import ReplicaFailure

_KEPT = 500
_MOST_BYTES = 256 * 1024
_TIMEOUT_S = 120
# Behind all requests of clients, at the engine.
_LAST = 1000
# Copies for a canary that may be under way at a time.
_MOST_AT_ONCE = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerPair:
    """Pair of answers to one request: JSON bodies or event streams as they were, and the time that each took, in
    seconds. `request`: its id; `arm` and `shadow`: the sources of `answer` and `shadow_answer`."""

    request: str
    route: str
    arm: str
    shadow: str
    answer: bytes
    shadow_answer: bytes
    answer_s: float
    shadow_s: float


class _Usage(msgspec.Struct, frozen=True, kw_only=True):
    completion_tokens: int | None = None
    output_tokens: int | None = None


class _Used(msgspec.Struct, frozen=True):
    usage: _Usage | None = None


# Of an answer that may be long nothing else is read.
_USED = msgspec.json.Decoder(_Used)


class Shadow:
    """Sender of shadow copies, and keeper of the last answer pairs. It owns the copies: `close` ends them.

    `internal`: sends them; `offload`: does slow JSON work; `clock`: seconds, monotonic.
    """

    def __init__(
        self,
        *,
        internal: InternalClient,
        offload: Offload,
        admission: Admission,
        metrics: RequestMetrics,
        clock: Callable[[], float],
        live_canaries: LiveCanaries,
    ) -> None:
        self._live_canaries = live_canaries
        self._internal = internal
        self._offload = offload
        self._admission = admission
        self._metrics = metrics
        self._clock = clock
        self._running: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()
        self.pairs: deque[AnswerPair] = deque(maxlen=_KEPT)

    def wants(self, exchange: Exchange, choice: Choice) -> bool:
        """Whether this request should be copied, should there be room for it when it has ended."""
        share, most = self._rules(choice)
        if not share or self._admission.waiting or self._running[choice.route] >= most:
            return False
        return uniform(f"shadow {choice.route}", exchange.arrival.id) < share

    def _rules(self, choice: Choice) -> tuple[float, int]:
        """Returns the share of requests that is copied, and the number of copies at a time."""
        shadow = choice.config.shadow if choice.config else None
        if shadow is not None:
            return shadow.share, shadow.most
        assignment = self._live_canaries.shadowing(choice.model)
        return (
            (assignment.plan.shadow.share, _MOST_AT_ONCE)
            if assignment is not None and assignment.plan.shadow
            else (0.0, 0)
        )

    def copy(self, exchange: Exchange, choice: Choice, ask: Ask, answer: bytes) -> None:
        """Sends a copy of the request to the shadow's arm, in the background. `answer`: what the client got.

        Other copies may have begun since `wants` said yes, so the number at a time is checked again here.
        """
        if self._running[choice.route] >= self._rules(choice)[1]:
            self._metrics.shadowed(choice.route, "no_room")
            return
        took_s = self._clock() - exchange.arrival.started_s
        task = asyncio.get_running_loop().create_task(self._copy(exchange, choice, ask, answer, took_s))
        self._tasks.add(task)
        self._running[choice.route] += 1
        task.add_done_callback(lambda done: self._ended(done, choice.route))

    async def close(self) -> None:
        """Cancels the copies that are under way, and waits for their end."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _ended(self, task: asyncio.Task[None], route: str) -> None:
        self._tasks.discard(task)
        self._running[route] -= 1

    async def _copy(self, exchange: Exchange, choice: Choice, ask: Ask, answer: bytes, took_s: float) -> None:
        own = choice.config.shadow if choice.config else None
        assignment = self._live_canaries.shadowing(choice.model) if own is None else None
        model = own.model if own is not None else assignment.revision if assignment is not None else ""
        try:
            target = self._internal.resolve(model)
            turn = self._spare_turn(msgspec.structs.replace(ask, target=target))
            if turn is None or turn.first is None:
                self._metrics.shadowed(choice.route, "no_room")
                return
            with contextlib.closing(_Ending(turn)):
                began_s = self._clock()
                label, path = target.revision or target.label, exchange.arrival.request.path
                body = await self._offload.run_json(partial(with_model, ask.body, label), len(ask.body))
                other = await self._internal.post(target, turn.first, path, body, priority=_LAST, timeout_s=_TIMEOUT_S)
            if exchange.guard_session is not None and exchange.guard_session.looks_at_answers:
                other = await exchange.guard_session.copy(other)
        except (RequestError, ReplicaFailure) as error:
            self._metrics.shadowed(choice.route, "failed")
            # A revision that this router does not know yet is no evidence against it.
            if assignment is not None and not isinstance(error, ModelNotFound):
                self._live_canaries.shadowed(assignment, {"errors"})
            return
        if assignment is not None:
            self._live_canaries.shadowed(assignment, {"empty"} if _is_empty(other) else ())
        pair = AnswerPair(
            request=exchange.arrival.id.decode(),
            route=choice.route,
            arm=ask.arm or ask.target.arm,
            shadow=target.revision or target.label,
            answer=answer[:_MOST_BYTES],
            shadow_answer=other[:_MOST_BYTES],
            answer_s=took_s,
            shadow_s=self._clock() - began_s,
        )
        self.pairs.append(pair)
        self._metrics.shadowed(choice.route, "kept")

    def _spare_turn(self, ask: Ask) -> Turn | None:
        revision = ask.target.engine_name if ask.target.revision is not None else None
        waiting = Waiting(
            tenant="shadow ", revision=revision, replicas=frozenset(ask.target.replicas), cost=0, since_s=self._clock()
        )

        return self._admission.spare(
            AdmissionRequest(waiting, 0, partial(self._internal.best, ask), lambda: waiting.replicas)
        )


def _is_empty(answer: bytes) -> bool:
    """Whether an answer has at most one token, its end. True for anything that is no JSON object."""
    try:
        usage = _USED.decode(answer).usage
    except UNREADABLE:
        return True
    if usage is None:
        return False
    told = usage.completion_tokens if usage.completion_tokens is not None else usage.output_tokens
    return told is not None and told <= 1


class _Ending:
    """Adapter of a turn for `contextlib.closing`: ends the turn when closed."""

    def __init__(self, turn: Turn) -> None:
        self._turn = turn

    def close(self) -> None:
        """Ends the turn. The tokens of a copy are charged to no tenant."""
        self._turn.done(0)
