"""Choice of the replica for a request: filter, score, pick. Pure.

Filter: ready, has the model, not tried yet, not ejected, and not above its share of the load. Score: the tier in which
it holds the revision, whether it has likely seen the prompt's beginning, its load, the use of its KV cache. Pick: the
best; equal ones take turns.

Source of the share: V. Mirrokni, M. Thorup, M. Zadimoghaddam, "Consistent Hashing with Bounded Loads", SODA 2018. So a
hot adapter, or a hot prompt, spills over to the next replica before it makes one wait.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from patchbay.core.replica import Tier
from patchbay.router.balance.affinity import beginning, first_choice
from patchbay.router.fleet.snapshot import Replica, Target, in_pool
from patchbay.router.http.body import Prompt

_IN_TIER: Mapping[Tier, float] = {"slot": 1.0, "cpu": 0.5, "disk": 0.0}
# A revision that no replica has in memory has a home, so that all routers load it at the same replica.
_AT_HOME = 0.25
# Added to the largest load in the queue score, so that 1 request against 0 counts less than 50 against 0.
_LOAD_OFFSET = 4
_NO_PROMPT = Prompt()


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """Weights of the score: the tier that holds the revision (`residency`), the prompt's beginning (`prefix`), requests
    in flight (`queue`) and free KV cache (`kv`). `bound`: a replica's largest load, as a multiple of the mean."""

    residency: float = 2.0
    prefix: float = 1.0
    queue: float = 2.0
    kv: float = 1.0
    bound: float = 1.25


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """Query for a replica. `target`: what is to answer; `prompt`: for prefix affinity; `tried`: replicas that must not
    be picked; `pool`: the only pool to pick from; `turn`: any number that goes up by one with each query, so that equal
    replicas take turns; `serving`: the names of the replicas to pick from, None for those of `target`."""

    target: Target
    prompt: Prompt = _NO_PROMPT
    tried: Collection[str] = ()
    pool: str | None = None
    turn: int = 0
    serving: Collection[str] | None = None


_DEFAULT = Weights()


def pick(
    replicas: Sequence[Replica],
    query: Query,
    in_flight: Mapping[str, int],
    weights: Weights = _DEFAULT,
) -> Replica | None:
    """Picks the replica for `query`, None where none is left.

    `in_flight`: requests that this router has at each replica, by its name; those of other routers are in
    `Replica.elsewhere`, which is older.
    """
    # A set, since with a tuple the cost of a pick would grow with the square of the replicas.
    serving = frozenset(query.target.replicas if query.serving is None else query.serving)
    able = [replica for replica in replicas if replica.name in serving and _is_able(replica, query)]
    # One replica is taken however busy it is: the queue for it is admission's work.
    if len(able) < 2:
        return able[0] if able else None
    loads = {replica.name: in_flight.get(replica.name, 0) + replica.elsewhere for replica in able}
    able = _within_share(able, loads, weights.bound)
    scores = _scores(able, query, loads, weights)
    best = max(scores)
    tied = [replica for replica, score in zip(able, scores, strict=True) if score == best]
    return tied[query.turn % len(tied)]


def _is_able(replica: Replica, query: Query) -> bool:
    return replica.state == "ready" and replica.name not in query.tried and in_pool(replica, query.pool)


def _within_share(able: list[Replica], loads: Mapping[str, int], bound: float) -> list[Replica]:
    """Returns the replicas that may take one more request. Never empty: the least loaded is always below the share."""
    share = math.ceil(bound * (sum(loads.values()) + 1) / len(able))
    return [replica for replica in able if loads[replica.name] < share]


def _scores(able: Sequence[Replica], query: Query, loads: Mapping[str, int], weights: Weights) -> list[float]:
    names = [replica.name for replica in able]
    engine_name = query.target.engine_name
    most = max(loads[name] for name in names)
    warm = first_choice(beginning(engine_name, query.prompt), names) if weights.prefix else None
    residencies = _residencies(able, engine_name) if query.target.revision is not None else [0.0] * len(able)
    return [
        weights.residency * residency
        + weights.prefix * (replica.name == warm)
        + weights.queue * (1 - loads[replica.name] / (most + _LOAD_OFFSET))
        + weights.kv * (1 - replica.kv_use)
        for replica, residency in zip(able, residencies, strict=True)
    ]


def _residencies(able: Sequence[Replica], engine_name: str) -> list[float]:
    """Scores each replica by the tier in which it holds the revision, 0 to 1."""
    residencies = [_IN_TIER[replica.tiers.get(engine_name, "disk")] for replica in able]
    if any(residencies):
        return residencies
    home = first_choice(engine_name.encode(), [replica.name for replica in able])
    return [_AT_HOME * (replica.name == home) for replica in able]
