"""The actuator: asks replicas for the changes that the plan contains, and remembers refusals."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence

from patchbay.core.errors import RegistryError
from patchbay.core.replica import ReplicaStatus
from patchbay.registry.records import FileRecord, Placement
from patchbay.router.control.context import Context
from patchbay.router.control.desired import DesiredRevision
from patchbay.router.control.plan import Failure, Put, fitting, make_plan, place
from patchbay.router.control.removals import held_back
from patchbay.router.control.replicas import ReplicaRefused
from patchbay.router.control.tasks import KeyedTasks
from patchbay.router.upstream.failure import ReplicaFailure

_log = logging.getLogger("patchbay.router")
_AT_ONCE = 4
_HELD = (
    "The registry gives no reason for them, so it may be damaged, or another one. "
    "If they are intended: POST /admin/v1/registry/accept."
)


class Actuator:
    """Carries out the plans of all replicas, with several calls to each at a time."""

    def __init__(self, context: Context, tasks: KeyedTasks) -> None:
        self._context = context
        self._tasks = tasks
        self._failures: dict[str, dict[str, Failure]] = defaultdict(dict)
        self._turns: dict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(_AT_ONCE))
        self._held: dict[str, tuple[str, ...]] = {}
        self._files: dict[tuple[str, int], tuple[FileRecord, ...]] = {}

    def act(self, wanted: Sequence[DesiredRevision], statuses: Mapping[str, ReplicaStatus]) -> None:
        """Begins the changes that each replica still needs. Calls under way go on.

        `wanted`: in order of importance; `statuses`: of the ready replicas, by name.
        """
        self._forget(wanted)
        for gone in self._held.keys() - statuses.keys():
            del self._held[gone]
        for name, status in statuses.items():
            plan = make_plan(wanted, status, self._failures[name], self._context.clock())
            for put in plan.puts:
                self._tasks.start(("put", name, put.wanted.engine_name), self._put(name, put))
            for revision in self._allowed(name, plan.drops, status, wanted):
                self._tasks.start(("drop", name, revision), self._drop(name, revision))

    def _allowed(
        self, replica: str, drops: Sequence[str], status: ReplicaStatus, wanted: Sequence[DesiredRevision]
    ) -> tuple[str, ...]:
        """Returns the removals that are requested now. The others are held back until somebody allows them."""
        snapshot, kept = self._context.follower.snapshot, len(fitting(wanted, status))
        held = held_back(drops, status, snapshot, kept=kept)
        if snapshot.generation == self._context.follower.allowed_at:
            held = ()
        if held != self._held.get(replica, ()):
            (_log.error if held else _log.info)(
                "%s",
                f"{len(held)} removals from {replica} are held back: {', '.join(held[:8])}. {_HELD}"
                if held
                else f"no removals from {replica} are held back any more",
            )
        self._held[replica] = held
        self._context.metrics.registry.removals_held(sum(map(len, self._held.values())))
        return tuple(name for name in drops if name not in held)

    def placements(
        self, wanted: Sequence[DesiredRevision], replica: str, status: ReplicaStatus
    ) -> tuple[Placement, ...]:
        """Returns the state of each revision that `replica` should have."""
        return place(wanted, replica, status, self._failures[replica])

    def forgive(self, engine_name: str) -> None:
        """Forgets refusals of a revision, since somebody asks for it again."""
        for failures in self._failures.values():
            failures.pop(engine_name, None)

    async def _put(self, replica: str, put: Put) -> None:
        wanted, failures = put.wanted, self._failures[replica]
        try:
            async with self._turns[replica]:
                await self._context.controls[replica].put(put, await self._files_of(wanted))
        except (ReplicaRefused, ReplicaFailure, RegistryError) as error:
            failures[wanted.engine_name] = _failure(error, failures.get(wanted.engine_name), self._context.clock())
            _log.warning("%s does not take %s: %s", replica, wanted.engine_name, error)
            self._context.metrics.registry.placement("refused")
        else:
            failures.pop(wanted.engine_name, None)
            _log.info("%s has %s (%s)", replica, wanted.engine_name, wanted.why)
            self._context.metrics.registry.placement("put")
        self._context.fleet.doubt(replica)

    async def _drop(self, replica: str, name: str) -> None:
        try:
            await self._context.controls[replica].drop(name)
        except (ReplicaRefused, ReplicaFailure) as error:
            _log.warning("%s does not remove %s: %s", replica, name, error)
            # Without a pause a replica that cannot be reached would be asked again at once.
            await asyncio.sleep(1)
        else:
            _log.info("%s has removed %s", replica, name)
            self._context.metrics.registry.placement("removed")
        self._context.fleet.doubt(replica)

    async def _files_of(self, wanted: DesiredRevision) -> tuple[FileRecord, ...]:
        key = wanted.adapter, wanted.number
        if key not in self._files:
            revision = await self._context.threads.work.run(self._context.registry.revision, *key)
            self._files[key] = revision.draft.files
        return self._files[key]

    def _forget(self, wanted: Sequence[DesiredRevision]) -> None:
        names, keys = (
            {revision.engine_name for revision in wanted},
            {(revision.adapter, revision.number) for revision in wanted},
        )
        for failures in self._failures.values():
            for gone in failures.keys() - names:
                del failures[gone]
        for key in self._files.keys() - keys:
            del self._files[key]


def _failure(error: ReplicaRefused | ReplicaFailure | RegistryError, before: Failure | None, at: float) -> Failure:
    final = isinstance(error, ReplicaRefused) and error.final
    return Failure(str(error), (before.count if before else 0) + 1, at, final)
