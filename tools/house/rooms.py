"""The rooms of the code, which are its packages, the imports between them, and their floors (levels). Pure.

A room's floor is 0 where it imports no other room, and one above the highest room that it imports otherwise. Rooms that
import each other, directly or through others, form a circle and have no floor.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter

# Packages that are too large to be one room: each package in them is a room.
_SPLIT = ("router",)

Graph = Mapping[str, frozenset[str]]


@dataclass(frozen=True, slots=True)
class House:
    """The graph of rooms and the rooms that each imports.

    `circle`: rooms that import each other, empty where there are none; `floors`: by room, empty where there is a
    circle.
    """

    rooms: Graph
    circle: tuple[str, ...] = ()
    floors: Mapping[str, int] = field(default_factory=dict)

    @property
    def arrows(self) -> int:
        """The number of pairs of rooms of which one imports the other."""
        return sum(map(len, self.rooms.values()))


def house_of(imports: Graph, room: "Callable[[str], str] | None" = None) -> House:
    """Builds the graph of rooms from modules and their imports.

    `imports`: by module; `room`: returns the room of a module, by default `room_of`.
    """
    place = room or room_of
    rooms: dict[str, set[str]] = {place(module): set() for module in imports}
    for module, imported in imports.items():
        rooms[place(module)] |= {place(target) for target in imported} - {place(module)}
    graph = {name: frozenset(imported_rooms) for name, imported_rooms in sorted(rooms.items())}
    try:
        order = tuple(TopologicalSorter(graph).static_order())
    except CycleError as error:
        return House(graph, circle=tuple(error.args[1]))
    return House(graph, floors=_floors(graph, order))


def room_of(module: str) -> str:
    """Returns the room of a module: its package, or the package in it where that one is split into rooms."""
    first, *rest = module.split(".")
    return f"{first}.{rest[0]}" if first in _SPLIT and rest else first


def _floors(graph: Graph, order: Iterable[str]) -> Mapping[str, int]:
    floors: dict[str, int] = {}
    for room in order:
        floors[room] = max((floors[below] + 1 for below in graph[room]), default=0)
    return floors
