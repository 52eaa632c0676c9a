"""Which revisions should be on replicas, and why. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from adapters.names import engine_name, revision_name
from adapters.registry.records import AdapterSettings, AdapterView, Snapshot

Why = Literal["rollout", "stable", "canary", "warm"]
# Routers learn of a move within this time, so until then they may still send requests to what it replaced.
GRACE_S = 5.0
_ORDER: tuple[Why, ...] = ("rollout", "stable", "canary", "warm")


@dataclass(frozen=True, slots=True)
class Wanted:
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


def wanted_revisions(snapshot: Snapshot, now: datetime, *, keep_warm_s: float) -> tuple[Wanted, ...]:
    """Every revision that should be on replicas, each once, those first that matter most.

    That is what channels mean and what is being rolled out; for `keep_warm_s` seconds the revision that a rollback
    would go to; and for a few seconds whatever a channel has just left.
    """
    found: dict[tuple[str, int], Wanted] = {}
    for why, adapter, number in sorted(_reasons(snapshot, now, keep_warm_s), key=lambda one: _ORDER.index(one[0])):
        view = snapshot.adapters.get(adapter)
        if view is not None and (adapter, number) not in found and number in view.revisions:
            found[adapter, number] = _wanted(view, number, why)
    return tuple(found.values())


def _reasons(snapshot: Snapshot, now: datetime, keep_warm_s: float) -> Iterator[tuple[Why, str, int]]:
    for rollout in snapshot.rollouts:
        yield "rollout", rollout.adapter, rollout.number
    for move in snapshot.recent:
        if move.before is not None and _age_s(move.at, now) < GRACE_S:
            yield "warm", move.adapter, move.before
    for name, view in sorted(snapshot.adapters.items()):
        for channel, record in view.channels.items():
            if record.number is not None:
                yield channel, name, record.number
            if record.previous is not None and _age_s(record.changed_at, now) < keep_warm_s:
                yield "warm", name, record.previous


def _wanted(view: AdapterView, number: int, why: Why) -> Wanted:
    brief = view.revisions[number]
    return Wanted(view.name, number, brief.digest, brief.base, view.settings, why)


def _age_s(moment: datetime, now: datetime) -> float:
    return (now - moment).total_seconds()
