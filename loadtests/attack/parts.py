"""The parts of an attack, by name, each with its share of the time."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from loadtests.attack.models import surfaces
from loadtests.attack.stack import MODELS, Target
from loadtests.attack.sweep import sweep
from loadtests.attack.tries import Try


@dataclass(frozen=True, slots=True)
class Part:
    """`tries`: of a target and a seed, perhaps without end; `share`: of the time, beside the others'."""

    tries: Callable[[Target, int], Iterator[Try]]
    share: int


def _fields(_target: Target, seed: int) -> Iterator[Try]:
    return sweep(surfaces(), MODELS, seed)


PARTS: Mapping[str, Part] = {
    "fields": Part(_fields, 12),
}
