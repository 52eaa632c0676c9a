"""Keeper of one answer: has it kept before its client gets the end of it, and says in it whether that was done."""

from functools import partial

from patchbay.core.offload import Offload
from patchbay.registry.responses import ConversationEnd
from patchbay.router.responses.answers import KeepCase, draft_of, told
from patchbay.router.responses.final_events import FinalEvents, response_in, split_final, with_response
from patchbay.router.responses.keep_queue import KeepQueue
from patchbay.router.telemetry.response_metrics import NotKept, ResponseMetrics


class ResponseKeeper:
    """Keeper of the answer to one request, for the relay. `case`: of the request; `queue`: where to, None where it is
    not to be kept, `why` then being said in the metrics, where there is a word for it."""

    def __init__(
        self,
        case: KeepCase,
        queue: KeepQueue | None,
        offload: Offload,
        metrics: ResponseMetrics,
        *,
        why: NotKept | None = None,
    ) -> None:
        self._case = case
        self._queue = queue
        self._offload = offload
        self._metrics = metrics
        self._why = why
        self._events = FinalEvents(case.previous)

    @property
    def _previous(self) -> ConversationEnd | None:
        return self._case.previous

    async def document(self, answer: bytes) -> bytes:
        """Settles an answer that is one JSON object, and returns it as it goes out."""
        stored = await self._is_kept(answer)
        return await self._offload.run_json(partial(told, answer, self._previous, stored=stored), len(answer))

    def pass_on(self, events: bytes) -> bytes:
        """Takes a stream's next whole events, and returns those that may go out now."""
        return self._events.pass_on(events)

    async def last(self, events: bytes) -> bytes:
        """Settles a stream that has ended, and returns its last events as they go out. `events`: those that were not
        taken yet."""
        whole = self._events.held + events
        before, final, after = split_final(whole)
        answer = await self._offload.run_json(partial(response_in, final), len(final))
        if not answer:
            self._count("not_whole")
            return whole
        answer = await self.document(answer)
        final = await self._offload.run_json(partial(with_response, final, answer), len(final))
        return before + final + after

    async def _is_kept(self, answer: bytes) -> bool:
        if self._queue is None:
            if self._why is not None:
                self._metrics.not_kept(self._why)
            return False
        length = len(answer) + len(self._case.body)
        draft = await self._offload.run_json(partial(draft_of, answer, self._case), length)
        if isinstance(draft, str):
            self._metrics.not_kept(draft)
            return False
        with self._metrics.keeping():
            outcome = await self._queue.keep(draft)
        if outcome != "kept":
            self._metrics.not_kept(outcome)
            return False
        self._metrics.kept()
        return True

    def _count(self, why: NotKept) -> None:
        if self._queue is not None:
            self._metrics.not_kept(why)
