"""The revisions that replicas should have, with the reasons. Pure."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from patchbay.core.names import engine_name, parse_reference, revision_name
from patchbay.registry.records import AdapterSettings, AdapterView, Snapshot

Why = Literal["rollout", "stable", "canary", "route", "warm"]
# Routers learn of a move within this time, so until then they may still send requests to the replaced revision.
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
        """The name that clients use: `sql@3`."""
        return revision_name(self.adapter, self.number)

    @property
    def engine_name(self) -> str:
        """The name in the engine: `sql@3-1a2b3c4d5e6f`."""
        return engine_name(self.adapter, self.number, self.digest)


def wanted_revisions(
    snapshot: Snapshot, now: datetime, *, keep_warm_s: float, named: Collection[str] = ()
) -> tuple[DesiredRevision, ...]:
    """Lists every revision that should be on replicas, each once, the most important first.

    These are the revisions in channels, of rollouts and of canaries, and those that routes pin (`named`: the models
    that routes ask); for `keep_warm_s` seconds the revision that a rollback would go to; and for a few seconds each
    revision that a channel has just left.
    """
    found: dict[tuple[str, int], DesiredRevision] = {}
    reasons = [*_reasons(snapshot, now, keep_warm_s), *_pinned(named)]
    # Replicas that have no room for all load the first ones.
    for why, adapter, number in sorted(reasons, key=lambda reason: _ORDER.index(reason[0])):
        view = snapshot.adapters.get(adapter)
        if view is not None and (adapter, number) not in found and number in view.revisions:
            found[adapter, number] = _wanted(view, number, why)
    return tuple(found.values())


def _reasons(snapshot: Snapshot, now: datetime, keep_warm_s: float) -> Iterator[tuple[Why, str, int]]:
    for rollout in snapshot.rollouts:
        yield "rollout", rollout.adapter, rollout.number
    yield from (
        ("canary", canary.adapter, canary.number) for canary in snapshot.canaries if canary.live and canary.pool is None
    )
    for move in snapshot.recent:
        if move.before is not None and _age_s(move.at, now) < GRACE_S:
            yield "warm", move.adapter, move.before
    yield from _meant(snapshot, now, keep_warm_s)


def _meant(snapshot: Snapshot, now: datetime, keep_warm_s: float) -> Iterator[tuple[Why, str, int]]:
    """Yields the revisions in channels, and those that a rollback of them would go to."""
    for name, view in sorted(snapshot.adapters.items()):
        for channel, record in view.channels.items():
            if record.number is not None:
                yield channel, name, record.number
            if record.previous is not None and _age_s(record.changed_at, now) < keep_warm_s:
                yield "warm", name, record.previous


def _pinned(named: Collection[str]) -> Iterator[tuple[Why, str, int]]:
    """Yields the revisions among names of models: `sql@1`, but not `sql`, whose channel decides, nor a base."""
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
