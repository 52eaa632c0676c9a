"""Which replica takes a request: filter, then least load, then in turn. Pure."""

from collections.abc import Collection, Mapping, Sequence

from router.snapshot import Replica, Target


def pick(
    replicas: Sequence[Replica],
    target: Target,
    in_flight: Mapping[str, int],
    turn: int,
    tried: Collection[str] = (),
) -> Replica | None:
    """The replica for `target`, or None where no ready one is left that was not `tried` yet.

    `in_flight`: requests that this router has at each replica, by its name; what a replica reports itself is older,
    so it only decides between equals. `turn`: any number that goes up by one a call; it rotates what is still equal.
    """
    candidates = [
        replica
        for replica in replicas
        if replica.state == "ready" and replica.name in target.replicas and replica.name not in tried
    ]
    if len(candidates) < 2:
        return candidates[0] if candidates else None
    loads = [(in_flight.get(replica.name, 0), replica.load) for replica in candidates]
    least = min(loads)
    tied = [replica for replica, load in zip(candidates, loads, strict=True) if load == least]
    return tied[turn % len(tied)]
