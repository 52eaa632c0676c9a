"""Rooms, which are packages that hang together, the imports between them, and the floors that they stand on. Pure.

A room's floor is 0 where it imports no other room, and one above the highest room that it imports otherwise. Rooms that
import each other, directly or through others, form a circle and have no floor.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter

# Packages whose own packages are rooms: they are too large to be looked at as one.
_SPLIT = ("router",)

Graph = Mapping[str, frozenset[str]]


@dataclass(frozen=True, slots=True)
class House:
    """Rooms with the rooms that each imports. `floors`: by room, empty where there is a circle."""

    rooms: Graph
    circle: tuple[str, ...] = ()
    floors: Mapping[str, int] = field(default_factory=dict)

    @property
    def arrows(self) -> int:
        """The number of pairs of rooms of which one imports the other."""
        return sum(map(len, self.rooms.values()))


def house_of(imports: Graph, room: "Callable[[str], str] | None" = None) -> House:
    """The house that modules and their imports make. `imports`: by module; `room`: the room of a module."""
    place = room or room_of
    rooms: dict[str, set[str]] = {place(module): set() for module in imports}
    for module, asked in imports.items():
        rooms[place(module)] |= {place(one) for one in asked} - {place(module)}
    graph = {name: frozenset(others) for name, others in sorted(rooms.items())}
    try:
        order = tuple(TopologicalSorter(graph).static_order())
    except CycleError as error:
        return House(graph, circle=tuple(error.args[1]))
    return House(graph, floors=_floors(graph, order))


def room_of(module: str) -> str:
    """The room of a module: its package, or the package in it where that one is split into rooms."""
    first, *rest = module.split(".")
    return f"{first}.{rest[0]}" if first in _SPLIT and rest else first


def _floors(graph: Graph, order: Iterable[str]) -> Mapping[str, int]:
    floors: dict[str, int] = {}
    for room in order:
        floors[room] = max((floors[below] + 1 for below in graph[room]), default=0)
    return floors
