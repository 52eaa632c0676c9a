"""The promoter: carries out rollouts. Each waits for its revision, has it tested, and then moves the channel."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence

from patchbay.core.errors import Conflict, NotFound, RegistryError
from patchbay.core.replica import ReplicaStatus
from patchbay.registry.records import Placement, Rollout, RolloutState
from patchbay.router.control.actuator import Actuator
from patchbay.router.control.context import Context
from patchbay.router.control.desired import DesiredRevision
from patchbay.router.control.rollouts import Fail, Flip, Try, Wait, next_step
from patchbay.router.control.smoke import smoke_test
from patchbay.router.control.tasks import KeyedTasks
from patchbay.router.upstream.failure import ReplicaFailure

_log = logging.getLogger("patchbay.router")
Placements = Mapping[str, Sequence[Placement]]


class Promoter:
    """Steps every unfinished rollout of the newest snapshot."""

    def __init__(self, context: Context, actuator: Actuator, tasks: KeyedTasks) -> None:
        self._context = context
        self._actuator = actuator
        self._tasks = tasks
        self._tested: dict[int, dict[str, str | None]] = {}
        self._begun: set[int] = set()

    def step(
        self, wanted: Sequence[DesiredRevision], placements: Placements, statuses: Mapping[str, ReplicaStatus]
    ) -> None:
        """Begins the next action of each rollout.

        `wanted`: the revisions that replicas should have; `placements`, `statuses`: of ready replicas, by name.
        """
        rollouts = self._context.follower.snapshot.rollouts
        known = {rollout.id for rollout in rollouts}
        self._begun &= known
        self._tested = {key: tested for key, tested in self._tested.items() if key in known}
        for rollout in rollouts:
            if revision := next((revision for revision in wanted if _is_of(revision, rollout)), None):
                self._step(rollout, revision, placements, statuses)

    def _step(
        self, rollout: Rollout, revision: DesiredRevision, placements: Placements, statuses: Mapping[str, ReplicaStatus]
    ) -> None:
        if rollout.id not in self._begun:
            # An earlier refusal must not fail a rollout that somebody asks for again.
            self._begun.add(rollout.id)
            self._actuator.forgive(revision.engine_name)
            self._context.fleet.news.set()
            return
        all_placements = (placement for replica in placements.values() for placement in replica)
        of_it = [placement for placement in all_placements if _is_of(placement, rollout)]
        tested = self._tested.setdefault(rollout.id, {})
        step = next_step(rollout, of_it, tested, self._context.utc_now(), timeout_s=self._context.rollout_timeout_s)
        match step:
            case Wait(reason):
                self._advance(rollout, "staging", reason)
            case Try(replicas):
                self._advance(rollout, "testing", None)
                for replica in replicas:
                    base = statuses[replica].base.name
                    self._tasks.start(("test", rollout.id, replica), self._test(rollout, revision, replica, base))
            case Fail(reason):
                self._tasks.start(("end", rollout.id), self._fail(rollout, reason))
            case Flip():
                self._tasks.start(("end", rollout.id), self._flip(rollout))

    def _advance(self, rollout: Rollout, state: RolloutState, reason: str | None) -> None:
        if (rollout.state, rollout.reason) != (state, reason):
            self._tasks.start(("tell", rollout.id), self._tell(rollout, state, reason))

    async def _tell(self, rollout: Rollout, state: RolloutState, reason: str | None) -> None:
        await self._in_registry(self._context.registry.advance, rollout.id, state, reason=reason)

    async def _test(self, rollout: Rollout, revision: DesiredRevision, replica: str, base: str) -> None:
        try:
            record = await self._context.threads.work.run(
                self._context.registry.revision, rollout.adapter, rollout.number
            )
            outcome = await smoke_test(
                self._context.controls[replica],
                model=revision.name,
                engine_name=revision.engine_name,
                base=base,
                golden=record.draft.golden,
            )
        except (ReplicaFailure, RegistryError, NotFound) as error:
            # Not the revision's fault: it is tested again once the replica is back.
            _log.warning("the smoke test of %s on %s broke off: %s", revision.name, replica, error)
            await asyncio.sleep(1)
        else:
            self._tested.setdefault(rollout.id, {})[replica] = outcome
        self._context.fleet.news.set()

    async def _fail(self, rollout: Rollout, reason: str) -> None:
        _log.warning("%s@%d does not become %s: %s", rollout.adapter, rollout.number, rollout.channel, reason)
        await self._in_registry(self._context.registry.advance, rollout.id, "failed", reason=reason)
        self._context.metrics.registry.rollout("failed")

    async def _flip(self, rollout: Rollout) -> None:
        if await self._in_registry(self._context.registry.flip, rollout.id):
            _log.info("%s@%d is %s now", rollout.adapter, rollout.number, rollout.channel)
            self._context.metrics.registry.rollout("done")

    async def _in_registry(self, change: Callable[..., object], *arguments: object, **named: object) -> bool:
        """Makes a change in the registry. Returns whether it was accepted; a change that comes too late is none."""
        try:
            await self._context.threads.work.run(change, *arguments, **named)
        except (Conflict, NotFound) as error:
            _log.warning("the registry refuses the change of a rollout: %s", error)
            return False
        except RegistryError as error:
            _log.warning("the registry is out of reach: %s", error)
            await asyncio.sleep(1)
            return False
        finally:
            # Look before this work counts as done, or the next round would do it again.
            await self._context.follower.look()
        return True


def _is_of(candidate: DesiredRevision | Placement, rollout: Rollout) -> bool:
    return (candidate.adapter, candidate.number) == (rollout.adapter, rollout.number)
