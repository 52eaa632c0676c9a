"""The standing of adapters: the revision that answers to each name now, or the reason why none does.

Commands, the banner of `patchbay up` and its exit go by this. Pure, but for `read_standings`.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from patchbay.adapters.lifecycle import ROUTER_ALIVE_S
from patchbay.core.names import revision_name
from patchbay.registry.canary_records import LIVE, CanaryRecord
from patchbay.registry.records import UNFINISHED, AdapterView, Move, Placement, ReplicaReport, Rollout
from patchbay.registry.registry import Registry

# The key of a router's document in the registry for declared adapters that it cannot bring in.
REFUSED = "refused"
_MOST_ROLLOUTS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """The standing of one adapter. `served`: the revision that answers to its name (`sql@3`), None where none does;
    `reason`: why none does, or why it is not a newer one. `final`: whether its rollout has failed, which nobody tries
    again by itself, and no revision was ever served."""

    adapter: str
    served: str | None = None
    reason: str | None = None
    final: bool = False

    @property
    def words(self) -> str:
        """The reason as a sentence, empty where there is none."""
        if self.reason is None:
            return ""
        return f"{self.adapter}: {self.reason}" if self.served else f"{self.adapter} is not served: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingFacts:
    """Facts from the registry that a standing follows from. `routed`: whether a router runs. The others are by adapter:
    `rollouts`: the last one towards `stable`; `canaries`: those under way; `cleared`: moves that emptied `stable`;
    `refused`: why a declared one cannot be brought in."""

    routed: bool
    reports: Sequence[ReplicaReport] = ()
    rollouts: Mapping[str, Rollout] = field(default_factory=dict)
    canaries: Mapping[str, CanaryRecord] = field(default_factory=dict)
    cleared: Mapping[str, Move] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)


def standings(
    views: Sequence[AdapterView], facts: StandingFacts, declared: Collection[str] = ()
) -> tuple[Standing, ...]:
    """Returns the standing of each adapter in `views`, and of those that are only `declared` or refused, by name."""
    known = {view.name: standing_of(view, facts) for view in views}
    unknown = {name: _unknown(name, facts) for name in {*declared, *facts.refused} - known.keys()}
    found = known | unknown
    return tuple(found[name] for name in sorted(found))


def standing_of(view: AdapterView, facts: StandingFacts) -> Standing:
    """Returns the standing of one adapter that the registry knows."""
    number = view.number("stable")
    if number is None:
        return _without_stable(view, facts)
    name = revision_name(view.name, number)
    if not facts.routed:
        return Standing(adapter=view.name, reason="no router uses this registry now: start one with `patchbay up`")
    placements = [
        placement
        for report in facts.reports
        if report.ready
        for placement in report.placements
        if (placement.adapter, placement.number) == (view.name, number)
    ]
    if any(placement.state in ("resident", "staged") for placement in placements):
        return Standing(adapter=view.name, served=name, reason=_remark(view, number, placements, facts))
    return _nowhere(view, name, placements, facts)


def read_standings(registry: Registry, declared: Collection[str] = ()) -> tuple[Standing, ...]:
    """Reads the standing of every adapter in `registry` and in `declared`. Raises RegistryError."""
    snapshot = registry.snapshot()
    views = [snapshot.adapters[name] for name in sorted(snapshot.adapters)]
    return standings(views, _facts(registry, views, snapshot.canaries), declared)


def _facts(registry: Registry, views: Sequence[AdapterView], canaries: Sequence[CanaryRecord]) -> StandingFacts:
    rollouts: dict[str, Rollout] = {}
    for rollout in registry.rollouts(limit=_MOST_ROLLOUTS):
        if rollout.channel == "stable":
            rollouts.setdefault(rollout.adapter, rollout)
    emptied = [view.name for view in views if "stable" in view.channels and view.number("stable") is None]
    refused: dict[str, str] = {}
    for document in registry.served(ROUTER_ALIVE_S).values():
        refused |= document.get(REFUSED) or {}
    return StandingFacts(
        routed=bool(registry.routers(ROUTER_ALIVE_S)),
        reports=registry.reports(),
        rollouts=rollouts,
        canaries={record.adapter: record for record in canaries if record.adapter and record.phase in LIVE},
        cleared={name: moves[-1] for name in emptied if (moves := registry.history(name, "stable"))},
        refused=refused,
    )


def _unknown(name: str, facts: StandingFacts) -> Standing:
    """Returns the standing of a declared adapter that the registry does not have."""
    if reason := facts.refused.get(name):
        return Standing(adapter=name, reason=f"it cannot be brought in: {reason}")
    return Standing(adapter=name, reason="it is declared, and no router has brought it into the registry yet")


def _without_stable(view: AdapterView, facts: StandingFacts) -> Standing:
    """Returns the standing of an adapter whose name means no revision: what stands in the way, the nearest first."""
    name, rollout = view.name, facts.rollouts.get(view.name)
    if name in facts.refused:
        return _unknown(name, facts)
    if rollout is not None and rollout.state in UNFINISHED:
        return Standing(adapter=name, reason=_on_its_way(rollout))
    if (canary := facts.canaries.get(name)) is not None:
        return Standing(adapter=name, reason=f"it waits for the canary of {canary.name} ({canary.phase})")
    if rollout is not None and rollout.state == "failed":
        return Standing(adapter=name, reason=_failed(rollout), final=True)
    if (move := facts.cleared.get(name)) is not None:
        why = f": {move.why}" if move.why else ""
        return Standing(adapter=name, reason=f"{move.actor} emptied its channel 'stable'{why}")
    return Standing(adapter=name, reason=_unpromoted(view))


def _unpromoted(view: AdapterView) -> str:
    if not view.revisions:
        return "all its revisions are retired"
    newest = revision_name(view.name, max(view.revisions))
    return f"no revision is promoted: patchbay adapters promote {newest}"


def _nowhere(view: AdapterView, name: str, placements: Sequence[Placement], facts: StandingFacts) -> Standing:
    """Returns the standing of an adapter whose stable revision, `name`, no replica can answer with."""
    failed = [placement for placement in placements if placement.state == "failed"]
    if failed and len(failed) == len(placements):
        return Standing(adapter=view.name, reason=f"{name} failed to load on {_each(failed)}")
    if placements:
        waiting = ", ".join(sorted(placement.replica for placement in placements if placement.state == "pending"))
        return Standing(adapter=view.name, reason=f"{name} waits for {waiting} to get it")
    if not any(report.ready for report in facts.reports):
        return Standing(adapter=view.name, reason="no replica is ready")
    return Standing(adapter=view.name, reason=f"no ready replica has the base model of {name}")


def _remark(view: AdapterView, number: int, placements: Sequence[Placement], facts: StandingFacts) -> str | None:
    """Returns what a reader should know of an adapter that is served, None where there is nothing."""
    said = []
    if failed := [placement for placement in placements if placement.state == "failed"]:
        said.append(f"it failed to load on {_each(failed)}")
    rollout = facts.rollouts.get(view.name)
    if rollout is not None and rollout.number > number:
        if rollout.state in UNFINISHED:
            said.append(_on_its_way(rollout))
        elif rollout.state == "failed":
            said.append(_failed(rollout))
    if (canary := facts.canaries.get(view.name)) is not None:
        said.append(f"{canary.name} is its canary at {canary.weight:g}% ({canary.phase})")
    if view.name in facts.refused:
        said.append(f"what is declared cannot be brought in: {facts.refused[view.name]}")
    return "; ".join(said) or None


def _on_its_way(rollout: Rollout) -> str:
    name = revision_name(rollout.adapter, rollout.number)
    doing = "tested" if rollout.state == "testing" else "put on the replicas"
    return f"{name} is being {doing}{f': {rollout.reason}' if rollout.reason else ''}"


def _failed(rollout: Rollout) -> str:
    name = revision_name(rollout.adapter, rollout.number)
    return f"{name} did not become stable: {rollout.reason or 'its rollout failed'}"


def _each(failed: Sequence[Placement]) -> str:
    return ", ".join(f"{placement.replica}: {placement.reason or 'it says no reason'}" for placement in failed)
