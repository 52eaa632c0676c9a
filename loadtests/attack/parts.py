"""The parts of an attack, by name, each with its share of the time."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from loadtests.attack.archives import archives
from loadtests.attack.bodies import bodies
from loadtests.attack.framing import framing
from loadtests.attack.models import surfaces
from loadtests.attack.poison import poison
from loadtests.attack.repeats import repeats
from loadtests.attack.schemas import schemas
from loadtests.attack.stack import BASE, FORMED, MODELS, Target
from loadtests.attack.sweep import sweep
from loadtests.attack.tries import Try


@dataclass(frozen=True, slots=True)
class Part:
    """One part of an attack.

    `tries`: makes them for a target and a seed, perhaps without end; `share`: of the time, beside the others'.
    """

    tries: Callable[[Target, int], Iterator[Try]]
    share: int


def _fields(_target: Target, seed: int) -> Iterator[Try]:
    return sweep(surfaces(), MODELS, seed)


PARTS: Mapping[str, Part] = {
    "framing": Part(lambda _target, _seed: framing(), 1),
    "bodies": Part(lambda _target, _seed: bodies(), 2),
    "archives": Part(lambda _target, _seed: archives(), 2),
    "adapters": Part(lambda target, _seed: poison(target.adapter), 3),
    "schemas": Part(lambda _target, _seed: schemas(FORMED), 3),
    "deaths": Part(lambda _target, _seed: repeats((BASE, "sql")), 2),
    "fields": Part(_fields, 12),
}
