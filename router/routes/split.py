"""The arm of a split that a caller is in: always the same one, on every router. Pure.

Source: weighted rendezvous hashing, C. Schindelhauer and G. Schomaker, "Weighted Distributed Hash Tables", SPAA 2005.
Each arm gets exactly its share of all callers, and when weights change a caller goes from one arm to another only where
the other's weight has grown relative to its own arm's.
"""

import math
from collections.abc import Sequence
from hashlib import blake2b

from patchbay.router.routes.sampling import unit


def choose(arms: Sequence[tuple[str, float]], salt: str, caller: bytes) -> int:
    """Returns the place in `arms` of the arm that `caller` is in.

    `arms`: names with weights, which are not all 0; `salt`: separates the splits of different routes.
    """
    if len(arms) == 1:
        return 0
    key = blake2b(salt.encode() + b"\0" + caller, digest_size=32).digest()
    return max(range(len(arms)), key=lambda place: _score(*arms[place], key))


def _score(name: str, weight: float, key: bytes) -> float:
    if weight <= 0:
        return -math.inf
    return -weight / math.log(unit(blake2b(name.encode(), key=key, digest_size=8).digest()))
