"""A room as mutation sees it: its modules, the tests that are its own, and what is imported anew for a mutant."""

import ast
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tools.house.modules import ROOT, Module, imports_of, read_modules

# Where a room's tests are looked for: what starts servers or engines is slow, and tests several rooms at once.
SUITES = ("tests/unit", "tests/property")


@dataclass(frozen=True, slots=True)
class MutatedRoom:
    """A room.

    `place`: as given, `router/carry`, or a file in it; `mutated`: the names of the modules there; `modules`: all of the
    room's, by their names below `patchbay`; `tests`: the test files that import it, relative to the repository, each
    with the modules of the room that it imports; `above`: the modules that import the room, directly or through others,
    and its own; `importers`: by module of the room, those in it that import it, and itself.
    """

    place: str
    mutated: frozenset[str]
    modules: Mapping[str, Module]
    tests: Mapping[str, frozenset[str]]
    above: frozenset[str]
    importers: Mapping[str, frozenset[str]]


def read_room(place: str, root: Path = ROOT, suites: Iterable[str] = SUITES) -> MutatedRoom:
    """Reads a room and finds its tests. `place`: its folder, or a file in it, relative to `root`. Raises
    FileNotFoundError where no module is there."""
    known = read_modules(root)
    mutated = _below(".".join(Path(place).with_suffix("").parts), known)
    if not mutated:
        raise FileNotFoundError(f"There is no module in {place}")
    folder = Path(place).parent if place.endswith(".py") else Path(place)
    modules = _below(".".join(folder.parts), known)
    imports = {one: imports_of(module, known) for one, module in known.items()}
    importers = {one: frozenset({one, *(other for other in modules if one in imports[other])}) for one in modules}
    return MutatedRoom(
        place=place,
        mutated=frozenset(mutated),
        modules=modules,
        tests=_tests(modules, root, suites),
        above=_above(imports, modules),
        importers=importers,
    )


def _below(name: str, known: Mapping[str, Module]) -> dict[str, Module]:
    return {one: module for one, module in known.items() if one == name or one.startswith(f"{name}.")}


def _tests(room: Mapping[str, Module], root: Path, suites: Iterable[str]) -> dict[str, frozenset[str]]:
    files = sorted(file for suite in suites for file in (root / suite).rglob("test_*.py"))
    found = {file: imports_of(_read(file), room) for file in files}
    return {str(file.relative_to(root)): imported for file, imported in found.items() if imported}


def _read(file: Path) -> Module:
    text = file.read_text(encoding="utf-8")
    return Module(f"tests.{file.stem}", file, ast.parse(text), tuple(text.splitlines()))


def _above(imports: Mapping[str, frozenset[str]], room: Iterable[str]) -> frozenset[str]:
    above = set(room)
    grown = True
    while grown:
        more = {one for one, imported in imports.items() if imported & above} - above
        above |= more
        grown = bool(more)
    return frozenset(above)
