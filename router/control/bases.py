"""The base models of the replicas, learned from them so that a push from anywhere can be checked."""

import asyncio
import logging
from collections.abc import Mapping

from patchbay.adapters.checks.base import BaseLayout
from patchbay.core.errors import RegistryError
from patchbay.core.replica import ReplicaStatus
from patchbay.registry.records import BaseModelRecord
from patchbay.router.control.context import Context
from patchbay.router.control.replicas import ReplicaRefused
from patchbay.router.control.tasks import KeyedTasks
from patchbay.router.upstream.failure import ReplicaFailure

_log = logging.getLogger("patchbay.router")


class Bases:
    """Collects the layouts of the base models that replicas serve, by fingerprint."""

    def __init__(self, context: Context, tasks: KeyedTasks) -> None:
        self._context = context
        self._tasks = tasks
        self._known: dict[str, BaseLayout | None] = {}

    def step(self, statuses: Mapping[str, ReplicaStatus]) -> None:
        """Begins to ask for layouts that are not known yet."""
        for name, status in statuses.items():
            fingerprint = status.base.fingerprint
            if fingerprint is not None and fingerprint not in self._known:
                self._tasks.start(("base", fingerprint), self._learn(name, status))

    def one_of(self, statuses: Mapping[str, ReplicaStatus]) -> tuple[BaseLayout | None, bool]:
        """Returns the layout that declared adapters must fit, and whether it is known by now.

        There is none where replicas serve several base models, or one whose files nobody can read.
        """
        fingerprints = {status.base.fingerprint for status in statuses.values()}
        named = {fingerprint for fingerprint in fingerprints if fingerprint is not None}
        if not statuses or not named <= self._known.keys():
            return None, False
        return (self._known[next(iter(named))] if len(fingerprints) == 1 and named else None), True

    async def _learn(self, replica: str, status: ReplicaStatus) -> None:
        fingerprint = status.base.fingerprint or ""
        try:
            layout = await self._context.controls[replica].base()
            record = BaseModelRecord(
                fingerprint=fingerprint, name=status.base.name, source=status.base.source, layout=layout
            )
            await self._context.threads.work.run(self._context.registry.register_base, record)
        except (ReplicaRefused, ReplicaFailure, RegistryError) as error:
            _log.warning("the base model of %s cannot be read yet: %s", replica, error)
            await asyncio.sleep(1)
        else:
            self._known[fingerprint] = BaseLayout.from_json(layout) if layout else None
        self._context.fleet.news.set()
