"""Reports of the replicas' states, written into the registry for commands, other routers and people."""

import dataclasses
import logging
from collections.abc import Mapping, Sequence

from patchbay.core.errors import RegistryError
from patchbay.core.replica import ReplicaStatus
from patchbay.registry.records import Placement, ReplicaReport
from patchbay.router.control.context import Context
from patchbay.router.control.tasks import KeyedTasks

_log = logging.getLogger("patchbay.router")
AT_LEAST_EVERY_S = 5.0


class Reports:
    """Reports each replica when something changes, and every few seconds."""

    def __init__(self, context: Context, tasks: KeyedTasks) -> None:
        self._context = context
        self._tasks = tasks
        self._written: dict[str, ReplicaReport] = {}

    def begin(self) -> None:
        """Begins to remove reports of replicas that are no longer configured."""
        self._tasks.start("forget", self._forget())

    def tell(self, placements: Mapping[str, Sequence[Placement]], ready: Mapping[str, ReplicaStatus]) -> None:
        """Begins to write news about the replicas.

        `placements`: by replica; `ready`: the statuses of those that are ready.
        """
        for name in self._context.controls:
            status = self._context.fleet.statuses.get(name)
            report = self._report(name, status, name in ready, tuple(placements.get(name, ())))
            if self._is_news(report):
                self._tasks.start(("report", name), self._write(report))

    def _report(
        self, name: str, status: ReplicaStatus | None, ready: bool, placements: tuple[Placement, ...]
    ) -> ReplicaReport:
        return ReplicaReport(
            name=name,
            base=status.base.fingerprint if status else None,
            ready=ready,
            slots=status.slots.slots if status else 0,
            cpu=status.slots.cpu if status else 0,
            usage=status.usage.model_dump(mode="json") if status else {},
            placements=placements,
            seen_at=self._context.utc_now(),
        )

    def _is_news(self, report: ReplicaReport) -> bool:
        before = self._written.get(report.name)
        if before is None:
            return True
        same = dataclasses.replace(report, usage=before.usage, seen_at=before.seen_at) == before
        return not same or (report.seen_at - before.seen_at).total_seconds() >= AT_LEAST_EVERY_S

    async def _forget(self) -> None:
        registry = self._context.registry
        try:
            for report in await self._context.threads.work.run(registry.reports):
                if report.name not in self._context.controls:
                    await self._context.threads.work.run(registry.forget_report, report.name)
        except RegistryError as error:
            _log.debug("old reports of replicas were not removed: %s", error)

    async def _write(self, report: ReplicaReport) -> None:
        try:
            await self._context.threads.work.run(self._context.registry.put_report, report)
        except RegistryError as error:
            _log.debug("the report on %s was not written: %s", report.name, error)
        else:
            self._written[report.name] = report
