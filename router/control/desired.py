"""Which revisions should be on replicas, and why. Pure."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from patchbay.core.names import engine_name, parse_reference, revision_name
from patchbay.registry.records import AdapterSettings, AdapterView, Snapshot

Why = Literal["rollout", "stable", "canary", "route", "warm"]
# Routers learn of a move within this time, so until then they may still send requests to what it replaced.
GRACE_S = 5.0
_ORDER: tuple[Why, ...] = ("rollout", "stable", "canary", "route", "warm")


@dataclass(frozen=True, slots=True, kw_only=True)
class DesiredRevision:
    """A revision that replicas with the base model `base` (any, where None) should have."""

    adapter: str
    number: int
    digest: str
    base: str | None
    settings: AdapterSettings
    why: Why

    @property
    def name(self) -> str:
        """What a client calls it: `sql@3`."""
        return revision_name(self.adapter, self.number)

    @property
    def engine_name(self) -> str:
        """What the engine calls it: `sql@3-1a2b3c4d5e6f`."""
        return engine_name(self.adapter, self.number, self.digest)


def wanted_revisions(
    snapshot: Snapshot, now: datetime, *, keep_warm_s: float, named: Collection[str] = ()
) -> tuple[DesiredRevision, ...]:
    """Every revision that should be on replicas, each once, those first that matter most.

    That is what channels mean, what is being rolled out and tried, and what routes pin (`named`: the models that they
    ask); for `keep_warm_s` seconds the revision that a rollback would go to; and for a few seconds whatever a channel
    has just left.
    """
    found: dict[tuple[str, int], DesiredRevision] = {}
    reasons = [*_reasons(snapshot, now, keep_warm_s), *_pinned(named)]
    for why, adapter, number in sorted(reasons, key=lambda one: _ORDER.index(one[0])):
        view = snapshot.adapters.get(adapter)
        if view is not None and (adapter, number) not in found and number in view.revisions:
            found[adapter, number] = _wanted(view, number, why)
    return tuple(found.values())


def _reasons(snapshot: Snapshot, now: datetime, keep_warm_s: float) -> Iterator[tuple[Why, str, int]]:
    for rollout in snapshot.rollouts:
        yield "rollout", rollout.adapter, rollout.number
    yield from (("canary", one.adapter, one.number) for one in snapshot.canaries if one.live and one.pool is None)
    for move in snapshot.recent:
        if move.before is not None and _age_s(move.at, now) < GRACE_S:
            yield "warm", move.adapter, move.before
    yield from _meant(snapshot, now, keep_warm_s)


def _meant(snapshot: Snapshot, now: datetime, keep_warm_s: float) -> Iterator[tuple[Why, str, int]]:
    """What channels mean, and what a rollback of them would go to."""
    for name, view in sorted(snapshot.adapters.items()):
        for channel, record in view.channels.items():
            if record.number is not None:
                yield channel, name, record.number
            if record.previous is not None and _age_s(record.changed_at, now) < keep_warm_s:
                yield "warm", name, record.previous


def _pinned(named: Collection[str]) -> Iterator[tuple[Why, str, int]]:
    """The revisions among names of models: `sql@1`, but not `sql`, which a channel says, nor a base."""
    for name in sorted(named):
        reference = parse_reference(name)
        if reference is not None and reference.number is not None:
            yield "route", reference.name, reference.number


def _wanted(view: AdapterView, number: int, why: Why) -> DesiredRevision:
    brief = view.revisions[number]
    return DesiredRevision(
        adapter=view.name, number=number, digest=brief.digest, base=brief.base, settings=view.settings, why=why
    )


def _age_s(moment: datetime, now: datetime) -> float:
    return (now - moment).total_seconds()
