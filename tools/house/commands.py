"""The command behind `make house`: prints the structure of the code, as tables for people or JSON for programs."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from tools.house.constructors import constructors_of
from tools.house.figures import comment_share, documented, duplicate_classes, functions_of, riddles, spread
from tools.house.modules import FOLDERS, PACKAGES, ROOT, Module, imports_of, read_modules
from tools.house.rooms import House, house_of

_LONGEST = 10


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures that `make house` prints.

    `rooms`: packages; `arrows`: pairs of rooms of which one imports the other; `floors`: levels of imports; `circles`:
    1 where rooms import each other in a circle; `functions`: median, 90th percentile and largest number of lines;
    `riddles`: names whose docstring begins with a question word or a parameter; `unclear_constructors`: the classes
    whose arguments are easily mixed up.
    """

    rooms: int
    arrows: int
    floors: int
    circles: int
    router_rooms: int
    router_arrows: int
    functions: tuple[float, float, int]
    longest_functions: dict[str, int]
    longest_files: dict[str, int]
    documented: tuple[int, int]
    riddles: list[str]
    duplicate_classes: dict[str, tuple[str, ...]]
    unclear_constructors: tuple[str, ...]
    comment_share: float
    tests_to_code: float


def measure(root: Path = ROOT) -> tuple[Figures, House]:
    """Measures the repository in `root`. Returns the figures and the rooms."""
    modules = read_modules(root)
    house = house_of({name: imports_of(module, modules) for name, module in modules.items()})
    code = list(modules.values())
    functions = functions_of(code)
    router = {room: to for room, to in house.rooms.items() if room.startswith("router.")}
    return (
        Figures(
            rooms=len(house.rooms),
            arrows=house.arrows,
            floors=len(set(house.floors.values())),
            circles=int(bool(house.circle)),
            router_rooms=len(router),
            router_arrows=sum(len(to & router.keys()) for to in router.values()),
            functions=spread([function.lines for function in functions]),
            longest_functions={function.place: function.lines for function in functions[:_LONGEST]},
            longest_files=_longest_files(code),
            documented=documented(code),
            riddles=riddles(read_modules(root, FOLDERS).values()),
            duplicate_classes=dict(duplicate_classes(code)),
            unclear_constructors=tuple(one.place for one in constructors_of(code) if one.is_unclear),
            comment_share=comment_share(code),
            tests_to_code=_lines(root, ("tests",)) / _lines(root, PACKAGES),
        ),
        house,
    )


def show(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of tables.")] = False,
) -> None:
    """Prints rooms, imports between them, floors, circles, sizes, docstrings and names that stand twice. Exit codes: 0
    there is no circle, 1 there is one.

    Example: python -m tools.house --json
    """
    figures, house = measure()
    if as_json:
        typer.echo(json.dumps({**asdict(figures), "by_floor": _by_floor(house), "circle": house.circle}, indent=2))
    else:
        console = Console()
        for table in (_summary(figures), _floors(house), _longest(figures), _duplicates(figures)):
            console.print(table)
    raise typer.Exit(figures.circles)


def main() -> None:
    """Runs the command."""
    typer.run(show)


def _longest_files(modules: list[Module]) -> dict[str, int]:
    sizes = sorted(((len(module.lines), module.name) for module in modules), reverse=True)
    return {name: lines for lines, name in sizes[:_LONGEST]}


def _lines(root: Path, folders: tuple[str, ...]) -> int:
    files = (file for folder in folders for file in (root / folder).rglob("*.py"))
    return sum(len(file.read_text(encoding="utf-8").splitlines()) for file in files)


def _by_floor(house: House) -> dict[int, list[str]]:
    floors = sorted(set(house.floors.values()))
    return {floor: sorted(room for room, on in house.floors.items() if on == floor) for floor in floors}


def _summary(figures: Figures) -> Table:
    median, tail, largest = figures.functions
    having, public = figures.documented
    table = Table("figure", "value", title="The house", title_justify="left")
    table.add_row("rooms, and imports between them", f"{figures.rooms}, {figures.arrows}")
    table.add_row("of these within the router", f"{figures.router_rooms}, {figures.router_arrows}")
    table.add_row("floors", str(figures.floors))
    table.add_row("circles", str(figures.circles))
    table.add_row("lines of a function: median, 90th percentile, largest", f"{median:g}, {tail:g}, {largest}")
    table.add_row("public names with a docstring", f"{having} of {public} ({having / public:.1%})")
    table.add_row("docstrings that begin with a question word or a parameter", str(len(figures.riddles)))
    table.add_row("class names that stand twice", str(len(figures.duplicate_classes)))
    table.add_row("constructors that are easily called wrongly", str(len(figures.unclear_constructors)))
    table.add_row("lines that are comments", f"{figures.comment_share:.1%}")
    table.add_row("lines of tests to one of code", f"{figures.tests_to_code:.2f}")
    return table


def _floors(house: House) -> Table:
    table = Table("floor", "rooms", title="Rooms by floor", title_justify="left")
    for floor, rooms in sorted(_by_floor(house).items(), reverse=True):
        table.add_row(str(floor), ", ".join(rooms))
    if house.circle:
        table.add_row("circle", " → ".join(house.circle))
    return table


def _longest(figures: Figures) -> Table:
    table = Table("lines", "function", "lines", "file", title="The longest", title_justify="left")
    for (function, lines), (file, size) in zip(
        figures.longest_functions.items(), figures.longest_files.items(), strict=True
    ):
        table.add_row(str(lines), function, str(size), file)
    return table


def _duplicates(figures: Figures) -> Table:
    table = Table("class", "modules", title="Class names that stand twice", title_justify="left")
    for name, places in figures.duplicate_classes.items():
        table.add_row(name, ", ".join(places))
    return table
