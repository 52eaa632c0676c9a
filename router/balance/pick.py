"""Which replica takes a request: filter, score, pick. Pure.

Filter: ready, has the model, not tried yet, its circuit closed, and not above its share of the load. Score: does it
hold the revision, has it likely seen the prompt's beginning, how much is it doing, how full is its KV cache. Pick: the
best, equals in turn.

Source of the share: V. Mirrokni, M. Thorup, M. Zadimoghaddam, "Consistent Hashing with Bounded Loads", SODA 2018. So a
hot adapter, or a hot prompt, spills over to the next replica before it makes one wait.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from patchbay.core.replica import Tier
from patchbay.router.balance.affinity import beginning, first_choice
from patchbay.router.fleet.snapshot import Replica, Target, in_pool
from patchbay.router.http.body import Prompt

_IN_TIER: Mapping[Tier, float] = {"slot": 1.0, "cpu": 0.5, "disk": 0.0}
# A cold revision has a home, so that all routers load it at one place.
_AT_HOME = 0.25
# What keeps one request more or less from counting as much as fifty do.
_FEW = 4
_NO_PROMPT = Prompt()


@dataclass(frozen=True, slots=True)
class Weights:
    """What counts how much: the revision's nearness (`residency`), the prompt's beginning (`prefix`), requests in
    flight (`queue`) and free KV cache (`kv`). `bound`: a replica's share of the load, over the mean."""

    residency: float = 2.0
    prefix: float = 1.0
    queue: float = 2.0
    kv: float = 1.0
    bound: float = 1.25


@dataclass(frozen=True, slots=True)
class Query:
    """What asks for a replica. `tried`: those that are not to be asked (again); `pool`: the only
    ones that may be; `turn`: any number that goes up by one
    a query, which rotates what is equal."""

    target: Target
    prompt: Prompt = _NO_PROMPT
    tried: Collection[str] = ()
    pool: str | None = None
    turn: int = 0


_DEFAULT = Weights()


def pick(
    replicas: Sequence[Replica],
    query: Query,
    in_flight: Mapping[str, int],
    weights: Weights = _DEFAULT,
) -> Replica | None:
    """The replica for `query`, or None where none is left.

    `in_flight`: requests that this router has at each replica, by its name; those of other routers are in
    `Replica.elsewhere`, which is older.
    """
    # A set: looked up in the tuple, a pick's cost would grow with the square of the replicas.
    having = frozenset(query.target.replicas)
    able = [one for one in replicas if one.name in having and _is_able(one, query)]
    if len(able) < 2:
        return able[0] if able else None
    loads = {one.name: in_flight.get(one.name, 0) + one.elsewhere for one in able}
    able = _within_share(able, loads, weights.bound)
    scores = _scores(able, query, loads, weights)
    best = max(scores)
    tied = [one for one, score in zip(able, scores, strict=True) if score == best]
    return tied[query.turn % len(tied)]


def _is_able(replica: Replica, query: Query) -> bool:
    return replica.state == "ready" and replica.name not in query.tried and in_pool(replica, query.pool)


def _within_share(able: list[Replica], loads: Mapping[str, int], bound: float) -> list[Replica]:
    """Those that may take one more. Never empty: the least loaded one is always below the share."""
    share = math.ceil(bound * (sum(loads.values()) + 1) / len(able))
    return [one for one in able if loads[one.name] < share]


def _scores(able: Sequence[Replica], query: Query, loads: Mapping[str, int], weights: Weights) -> list[float]:
    names = [one.name for one in able]
    engine_name = query.target.engine_name
    most = max(loads[name] for name in names)
    near = first_choice(beginning(engine_name, query.prompt), names) if weights.prefix else None
    resident = _residency(able, engine_name) if query.target.revision is not None else [0.0] * len(able)
    return [
        weights.residency * held
        + weights.prefix * (one.name == near)
        + weights.queue * (1 - loads[one.name] / (most + _FEW))
        + weights.kv * (1 - one.kv_use)
        for one, held in zip(able, resident, strict=True)
    ]


def _residency(able: Sequence[Replica], engine_name: str) -> list[float]:
    held = [_IN_TIER[one.tiers.get(engine_name, "disk")] for one in able]
    if any(held):
        return held
    home = first_choice(engine_name.encode(), [one.name for one in able])
    return [_AT_HOME * (one.name == home) for one in able]
