"""Kept responses as a router has them: read and deleted for clients, off the event loop, and purged once expired."""

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from typing import ParamSpec, TypeVar

from patchbay.core.errors import NotFound, PreviousResponseNotFound, RegistryError, Unavailable
from patchbay.core.thread_pools import Threads
from patchbay.registry.responses import ConversationEnd, ConversationTurn, KeptResponse, Responses
from patchbay.router.responses.answers import is_id
from patchbay.router.responses.config import ResponsesConfig
from patchbay.router.responses.conversation import check_length, check_whole
from patchbay.router.responses.keep_queue import KeepQueue
from patchbay.router.telemetry.response_metrics import ResponseMetrics

P = ParamSpec("P")
R = TypeVar("R")
_log = logging.getLogger("patchbay.router")
_PURGE_S = 600.0
_THREADS, _WAITING = 4, 200
_OFF = "This router keeps no responses."


class KeptResponses:
    """The kept responses of a router. `store`: the registry's; `most_bytes`: of a conversation that is gone on from;
    `clock`: seconds, monotonic."""

    def __init__(
        self,
        store: Responses,
        config: ResponsesConfig,
        metrics: ResponseMetrics,
        *,
        most_bytes: int,
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._config = config
        self._metrics = metrics
        self._most_bytes = most_bytes
        self._threads = Threads("kept responses", _THREADS, waiting=_WAITING)
        self._purging = Threads("purge of responses", 1)
        self.queue = KeepQueue(store, config.terms, config.wait_s, clock)
        metrics.watch_waiting(lambda: self.queue.waiting)

    async def shown(self, tenant: str, name: str, show: Callable[[KeptResponse], bytes]) -> bytes:
        """Reads a tenant's response, and returns what `show` makes of it, in a thread.

        Raises NotFound, Unavailable, and what `show` raises.
        """
        found = await self._read(self._shown, tenant, name, show) if is_id(name) else None
        if found is None:
            raise not_found(name)
        return found

    async def delete(self, tenant: str, name: str) -> None:
        """Deletes a tenant's response. Raises NotFound and Unavailable."""
        if not is_id(name) or not await self._read(self._store.delete, tenant, name):
            raise not_found(name)

    async def link(self, tenant: str, name: str) -> ConversationEnd:
        """Reads where the conversation ends that a request goes on from.

        Raises PreviousResponseNotFound, ConversationTooLong and Unavailable.
        """
        end = await self._read(self._store.link, tenant, name) if is_id(name) else None
        if end is None:
            raise PreviousResponseNotFound(name)
        check_length(end, self._config.max_turns, self._most_bytes)
        return end

    async def turns(self, end: ConversationEnd) -> Sequence[ConversationTurn]:
        """Reads a conversation, the last response first. Raises PreviousResponseNotFound and Unavailable."""
        turns = await self._read(self._store.turns, end)
        check_whole(turns, end)
        return turns

    async def purge(self) -> None:
        """Deletes what has expired, again and again, until cancelled."""
        # Routers that start together need not purge together.
        await asyncio.sleep(random.uniform(0, 1) * _PURGE_S / 10)  # noqa: S311 - no secret
        while True:
            await self._purge_all()
            await asyncio.sleep(_PURGE_S)

    async def close(self, within_s: float) -> None:
        """Ends the threads, once what is being written is."""
        await self.queue.close(within_s)
        self._threads.close()
        self._purging.close()

    async def _purge_all(self) -> None:
        try:
            while purged := await self._purging.run(self._store.purge):
                self._metrics.purged(purged)
        except RegistryError as error:
            _log.warning("responses that have expired are not deleted yet: %s", error)

    def _shown(self, tenant: str, name: str, show: Callable[[KeptResponse], bytes]) -> bytes | None:
        found = self._store.find(tenant, name)
        return show(found) if found is not None else None

    async def _read(self, work: Callable[P, R], *arguments: P.args, **named: P.kwargs) -> R:
        try:
            return await self._threads.run(work, *arguments, **named)
        except RegistryError as error:
            raise Unavailable("Kept responses cannot be read now: the registry does not answer.") from error


def not_found(name: str, *, is_off: bool = False) -> NotFound:
    """Makes the error for a response that is not there, whose ever it may be."""
    return NotFound(f"Response with id '{name[:200]}' not found.", hint=_OFF if is_off else None)


def previous_is_off(name: str) -> PreviousResponseNotFound:
    """Makes the error for a request that goes on from a response where none are kept."""
    return PreviousResponseNotFound(name, hint=f"{_OFF} Send the conversation in 'input'.")
