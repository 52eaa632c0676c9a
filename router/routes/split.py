"""Which arm of a split a caller is in: always the same one, on every router. Pure.

Source: weighted rendezvous hashing, C. Schindelhauer and G. Schomaker, "Weighted Distributed Hash Tables", SPAA 2005.
Each arm gets exactly its share of all callers, and when weights change a caller goes over from one arm to another only
where the other's weight has grown relative to its own arm's.
"""

import math
from collections.abc import Sequence
from hashlib import blake2b

from patchbay.router.routes.sampling import unit


def choose(arms: Sequence[tuple[str, float]], salt: str, caller: bytes) -> int:
    """The place in `arms`, names with weights that are not all 0, of the one that `caller` is in. `salt` keeps the
    splits of several routes apart."""
    if len(arms) == 1:
        return 0
    key = blake2b(salt.encode() + b"\0" + caller, digest_size=32).digest()
    return max(range(len(arms)), key=lambda place: _score(*arms[place], key))


def _score(name: str, weight: float, key: bytes) -> float:
    if weight <= 0:
        return -math.inf
    return -weight / math.log(unit(blake2b(name.encode(), key=key, digest_size=8).digest()))
