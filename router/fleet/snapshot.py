"""Snapshot of what the router knows of its replicas: frozen values, swapped whole, never changed in place."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from patchbay.core.replica import RevisionState, Tier

ReplicaState = Literal["ready", "unready", "draining"]
_NOWHERE: Mapping[str, Tier] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldRevision:
    """Revision that a replica holds. `engine_name`: its unique name at the engine; `digest`: of its files, empty where
    it is unknown."""

    adapter: str
    number: int
    engine_name: str
    state: RevisionState
    digest: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedModel:
    """Model as a plain OpenAI server lists it. `created`: Unix time, seconds; `context`: the tokens that it can hold,
    None where that is unknown."""

    id: str
    created: int
    root: str | None = None
    parent: str | None = None
    context: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
    """Catalog of what one replica serves: one of ours has a base with revisions, a plain OpenAI server just `models`.

    `source`: where the base is from; `context`: the tokens that the base can hold; `fingerprint`: of its files. None
    where they are unknown.
    """

    base: str | None = None
    source: str | None = None
    revisions: tuple[HeldRevision, ...] = ()
    models: tuple[ListedModel, ...] = ()
    context: int | None = None
    fingerprint: str | None = None

    @property
    def plain(self) -> bool:
        """Whether the replica is a plain OpenAI server, not one of ours."""
        return self.base is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Replica:
    """Replica as the router last saw it.

    `reason`: why it is not ready; `catalog`: the last one seen, None before the first; `load`: requests that it reports
    as running or waiting; `elsewhere`: those of them that are not this router's; `kv_use`: the share of its KV cache in
    use, 0 to 1; `tiers`: the nearest memory that holds a revision, by engine name; `pool`: the name by which routes ask
    for a group of replicas; `reserved`: whether only routes that name its pool may use it.
    """

    name: str
    url: str
    state: ReplicaState = "unready"
    reason: str | None = "not seen yet"
    catalog: Catalog | None = None
    load: int = 0
    elsewhere: int = 0
    kv_use: float = 0.0
    tiers: Mapping[str, Tier] = field(default_factory=lambda: _NOWHERE)
    pool: str = "default"
    reserved: bool = False


def in_pool(replica: Replica, pool: str | None) -> bool:
    """Whether a replica may be asked where `pool` is wanted.

    `pool`: a name; None for any replica that is not reserved; `!NAME` for any of these but those of that pool.
    """
    if pool is None:
        return not replica.reserved
    if pool.startswith("!"):
        return not replica.reserved and replica.pool != pool[1:]
    return replica.pool == pool


def has_others(replicas: Iterable[Replica], pool: str) -> bool:
    """Whether there are replicas that answer everybody outside of `pool`, ready or not."""
    return any(in_pool(replica, f"!{pool}") for replica in replicas)


@dataclass(frozen=True, slots=True)
class Naming:
    """Meaning of adapters' bare names by the registry. `stable`: for each adapter that it knows, the engine name of the
    revision in the channel `stable`, None where that channel is empty."""

    stable: Mapping[str, str | None] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Target of a request: the meaning of a model name.

    `label`: the adapter's or the base's name, for metrics; `engine_name`: the name that stands for exactly these bytes;
    `revision`: `sql@3`, for an adapter; `replicas`: the names of those that can serve it; `arm`: the channel by which
    the name was resolved, `pinned` for an exact revision, or the arm of a route's split; `digest`: of the files, the
    base's for a base, empty where it is unknown.
    """

    label: str
    engine_name: str
    revision: str | None
    replicas: tuple[str, ...]
    arm: str = "base"
    digest: str = ""
