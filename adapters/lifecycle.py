"""Lifecycle of channels: the way that a promotion or a rollback takes, and the wait for its effect."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from patchbay.core.errors import Conflict, PatchbayError
from patchbay.registry.canary_decisions import CanaryMoves, fulfil, give_way
from patchbay.registry.canary_records import CanaryEnd, CanaryRecord
from patchbay.registry.records import (
    UNFINISHED,
    Channel,
    ChannelChange,
    ChannelRecord,
    ReplicaReport,
    Revision,
    Rollout,
    RouterBeat,
)
from patchbay.registry.registry import Registry

ROUTER_ALIVE_S = 10.0
_DONE: Mapping[str, str] = {"promote": "promoted", "rollback": "rolled back to", "clear": "cleared"}
_LOOK_EVERY_S = 0.05


@dataclass(frozen=True, slots=True)
class Moved:
    """The result of a move.

    `generation`: the registry's after the move; `rollout`: the one under way, where replicas must get the revision
    first; `channel`: its record, where it moved at once.
    """

    generation: int
    rollout: Rollout | None = None
    channel: ChannelRecord | None = None


@dataclass(frozen=True, slots=True)
class Adoption:
    """The adoption of a change by routers. `after_s`: by router, the seconds that it took; `missing`: routers that have
    not adopted it yet."""

    after_s: Mapping[str, float] = field(default_factory=dict)
    missing: tuple[str, ...] = ()


def is_warm(revision: Revision, reports: Iterable[ReplicaReport]) -> bool:
    """Whether every ready replica that can serve `revision` has its files, so that a channel may move to it at once.
    False where there is no such replica. Pure."""
    fitting = [report for report in reports if report.ready and _fits(revision, report)]
    return bool(fitting) and all(_has(revision, report) for report in fitting)


class Lifecycle:
    """Promotes and rolls back in one registry. Every method blocks. `clock`: seconds, monotonic; `sleep`: takes
    seconds."""

    def __init__(
        self,
        registry: Registry,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._registry = registry
        self._moves = CanaryMoves(registry.canaries)
        self._clock = clock
        self._sleep = sleep

    def check(self, change: ChannelChange) -> None:
        """Raises the NotFound or Conflict that the change would raise, and changes nothing."""
        if change.kind == "rollback":
            change = replace(change, number=self._target(change.adapter, change.channel).number)
        if change.number is not None:
            self._registry.check_usable(change.adapter, change.number)
        else:
            self._registry.revisions(change.adapter)
        self._canary_beside(change)

    def promote(
        self, reference: str, channel: Channel = "stable", *, actor: str, why: str | None = None, now: bool = False
    ) -> Moved:
        """Makes `channel` mean the revision that `reference` names, after it has been staged and tested on every
        replica.

        `actor`, `why`: for the audit; `now`: skips staging and testing, as happens too where no router is running that
        could do it. A canary of the same revision is promoted by this, one of another ends. Raises NotFound, and
        Conflict where the revision is retired, the channel was moved meanwhile, or it belongs to a canary: then nothing
        has changed.
        """
        revision = self._registry.resolve(reference)
        change = ChannelChange(adapter=revision.adapter, number=revision.number, channel=channel, actor=actor, why=why)
        now = now or not self._routers()
        canary = self._canary_beside(change)
        if canary is not None and canary.number == change.number and not now:
            return self._by_canary(canary, change)
        ending, current = self._ending(canary, change), self._current(revision.adapter, channel)
        if now:
            moved = self._registry.move(change, expected=current, ending=ending)
            return Moved(self._registry.generation(), channel=moved)
        rollout = self._registry.begin_rollout(change, ending=ending)
        return Moved(self._registry.generation(), rollout=rollout)

    def rollback(
        self, name: str, channel: Channel = "stable", *, actor: str, why: str | None = None, now: bool = False
    ) -> Moved:
        """Makes `channel` mean its previous revision: at once where the replicas still have it, else after they have
        got it again.

        `actor`, `why`: for the audit; `now`: moves at once in any case. A canary of the adapter ends. Raises NotFound,
        and Conflict where there is nothing to go back to: then nothing has changed.
        """
        target = self._target(name, channel)
        change = ChannelChange(
            adapter=name, number=target.number, channel=channel, actor=actor, why=why, kind="rollback"
        )
        ending = self._ending(self._canary_beside(change), change)
        if now or not self._routers() or is_warm(target, self._registry.reports()):
            moved = self._registry.rollback(name, channel, actor=actor, why=why, ending=ending)
            return Moved(self._registry.generation(), channel=moved)
        rollout = self._registry.begin_rollout(change, ending=ending)
        return Moved(self._registry.generation(), rollout=rollout)

    def clear(self, name: str, channel: Channel, *, actor: str, why: str | None = None) -> Moved:
        """Empties a channel. A canary of the adapter ends where that is `stable`.

        `actor`, `why`: for the audit. Raises NotFound and Conflict: then nothing has changed.
        """
        self._registry.revisions(name)
        change = ChannelChange(adapter=name, number=None, channel=channel, actor=actor, why=why, kind="clear")
        ending = self._ending(self._canary_beside(change), change)
        record = self._registry.move(change, expected=self._current(name, channel), ending=ending)
        return Moved(self._registry.generation(), channel=record)

    def wait_for_rollout(
        self, rollout: Rollout, *, timeout_s: float, tell: Callable[[Rollout], None] = lambda rollout: None
    ) -> Rollout:
        """Waits until `rollout` is finished, and returns it.

        `timeout_s`: the longest wait; `tell`: called with each new state. Raises Conflict where it failed or was
        superseded, PatchbayError where it takes longer than `timeout_s`.
        """
        deadline = self._clock() + timeout_s
        seen = rollout
        while seen.state in UNFINISHED:
            if self._clock() > deadline:
                raise PatchbayError(
                    f"The rollout of {seen.adapter}@{seen.number} is still {seen.state} after {timeout_s:g} s"
                    f"{': ' + seen.reason if seen.reason else ''}.",
                    hint="It goes on until another takes its place; 'patchbay adapters list' shows its state.",
                )
            self._sleep(_LOOK_EVERY_S)
            now = self._registry.rollout(seen.id)
            if now != seen:
                tell(now)
            seen = now
        if seen.state != "done":
            raise Conflict(f"{seen.adapter}@{seen.number} was not promoted: {seen.reason or seen.state}")
        return seen

    def wait_until_live(self, generation: int, *, timeout_s: float = 5.0) -> Adoption:
        """Waits until every living router has adopted the registry's `generation` or a later one, at most `timeout_s`
        seconds. Returns how long each took."""
        started = self._clock()
        after: dict[str, float] = {}
        while True:
            routers = self._routers()
            for router in routers:
                if router.generation >= generation:
                    after.setdefault(router.name, self._clock() - started)
            missing = tuple(sorted(router.name for router in routers if router.name not in after))
            if not missing or self._clock() - started > timeout_s:
                return Adoption(after, missing)
            self._sleep(_LOOK_EVERY_S)

    def _by_canary(self, canary: CanaryRecord, change: ChannelChange) -> Moved:
        """Makes the move as the canary of the same revision makes it."""
        if canary.phase != "promoting":
            canary = self._moves.promote(canary, actor=change.actor, why=change.why)
        rollout = self._registry.rollout(canary.rollout) if canary.rollout is not None else None
        return Moved(self._registry.generation(), rollout=rollout)

    def _canary_beside(self, change: ChannelChange) -> CanaryRecord | None:
        """Returns the canary that a move would end, None where there is none. Raises Conflict where the canary's own
        channel is to be moved."""
        canary = self._moves.under_way(change.adapter)
        if canary is not None and change.channel == "canary":
            raise Conflict(
                f"The channel 'canary' belongs to canary {canary.id} of {canary.name} ({canary.phase}).",
                hint=f"To end it: patchbay canary abort {canary.subject}",
            )
        return canary

    def _ending(self, canary: CanaryRecord | None, change: ChannelChange) -> CanaryEnd | None:
        """Returns the end of a canary that a move leaves without a comparison, None where the move changes nothing."""
        if canary is None or change.number == self._current(change.adapter, change.channel):
            return None
        at = self._registry.clock()
        if (canary.number, change.kind) == (change.number, "promote"):
            return fulfil(canary, actor=change.actor, why=change.why, at=at)
        subject = f"{change.adapter}@{change.number}" if change.number is not None else "it"
        return give_way(canary, actor=change.actor, cause=f"{change.actor} {_DONE[change.kind]} {subject}", at=at)

    def _routers(self) -> tuple[RouterBeat, ...]:
        return self._registry.routers(ROUTER_ALIVE_S)

    def _current(self, name: str, channel: Channel) -> int | None:
        return self._registry.snapshot().adapters[name].number(channel)

    def _target(self, name: str, channel: Channel) -> Revision:
        # The registry is asked even where nothing is known here, for its error with the nearest name.
        view = self._registry.snapshot().adapters.get(name)
        record = view.channels.get(channel) if view else None
        if record is None:
            self._registry.revisions(name)
        if record is None or record.previous is None:
            raise Conflict(f"{name} has no earlier revision in '{channel}' to go back to.")
        return self._registry.revision(name, record.previous)


def _fits(revision: Revision, report: ReplicaReport) -> bool:
    return revision.draft.base in (None, report.base)


def _has(revision: Revision, report: ReplicaReport) -> bool:
    return any(
        (placement.adapter, placement.number) == (revision.adapter, revision.number)
        and placement.state in ("staged", "resident")
        for placement in report.placements
    )
