"""The kinds of faults: the record of one (its name, its needs, how it is made and undone), and the list of all."""

import random
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from loadtests.faults.world import World

Broken = AbstractAsyncContextManager[None]


@dataclass(frozen=True, slots=True)
class Fault:
    """One kind of fault.

    `broken`: makes it in a world and undoes it with its block; `hold_s`: how long it lasts; `fits`: whether it can be
    made in a world; `lacks`: what this machine lacks for it, None where nothing.
    """

    name: str
    broken: Callable[[World, random.Random], Broken]
    hold_s: float
    fits: Callable[[World], bool] = lambda _: True
    lacks: Callable[[], str | None] = lambda: None


def all_faults() -> Mapping[str, Fault]:
    """Every fault, by name."""
    from loadtests.faults import of_databases, of_means, of_redis, of_routers

    found = (*of_databases.FAULTS, *of_redis.FAULTS, *of_routers.FAULTS, *of_means.FAULTS)
    return {fault.name: fault for fault in found}
