"""The trial of a room's mutants: a look at its tests on unchanged code, then each mutant before those that reach it."""

import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from tools.house.modules import ROOT, Module
from tools.mutants.children import Fate, tried, warm_up, watched
from tools.mutants.figures import MutantFigures, figures_of
from tools.mutants.finding import mutants_of
from tools.mutants.mutant import Mutant
from tools.mutants.room import MutatedRoom
from tools.mutants.watching import IMPORTED, SeenTest

# A test may take this many times what it takes on unchanged code, and what it takes to import or set up.
_TIMES = 10
_IMPORT_S = 3.0
_PREFIX = "patchbay."

Told = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Wish:
    """A wish for a trial. `sample`: how many mutants, all where it is None; `seed`: of the draw; `slowest_s`:
    tests that take more CPU time under watch are left out."""

    sample: int | None
    seed: int
    slowest_s: float


def try_room(room: MutatedRoom, wish: Wish, tell: Told) -> MutantFigures:
    """Tries mutants of a room, and tells of each step in words."""
    possible = [one for name in sorted(room.mutated) for one in _mutants(room.modules[name])]
    drawn = _draw(possible, wish)
    warm_up(room.tests, room.above)
    seen = watched(room.tests, wish.slowest_s, _traced(room))
    imported = seen.pop(IMPORTED, SeenTest())
    good = {name: test for name, test in seen.items() if test.passed}
    tell(f"{room.place}: {len(drawn)} of {len(possible)} mutants, {len(good)} of {len(seen)} tests")
    fates = []
    for at, mutant in enumerate(drawn, 1):
        fate = _fate(mutant, _reaching(mutant, room, good, imported))
        fates.append((str(mutant), fate))
        tell(f"{at} of {len(drawn)}: {fate}: {mutant}")
    return figures_of(room.place, fates, possible=len(possible), left_out=len(seen) - len(good))


def _draw(possible: list[Mutant], wish: Wish) -> list[Mutant]:
    count = len(possible) if wish.sample is None else min(wish.sample, len(possible))
    drawn = set(random.Random(wish.seed).sample(range(len(possible)), count))  # noqa: S311
    return [one for at, one in enumerate(possible) if at in drawn]


def _mutants(module: Module) -> Iterable[Mutant]:
    return mutants_of("\n".join(module.lines), _PREFIX + module.name, str(module.file.relative_to(ROOT)))


def _traced(room: MutatedRoom) -> Mapping[str, str]:
    """The files of the room, by the names that their code has: below `src`, where they are linked."""
    files = [str(module.file.relative_to(ROOT)) for module in room.modules.values()]
    return {str(ROOT / "src" / "patchbay" / file): file for file in files} | {str(ROOT / file): file for file in files}


def _reaching(
    mutant: Mutant, room: MutatedRoom, tests: Mapping[str, SeenTest], imported: SeenTest
) -> dict[str, SeenTest]:
    """The tests that may notice a mutant, the quickest first: those that run its lines, or, of what an import runs,
    those that run anything of the modules that import it, or import it themselves."""
    found = {name: test for name, test in tests.items() if test.touches(mutant.file, mutant.lines)}
    if not mutant.inside or (not found and imported.touches(mutant.file, mutant.lines)):
        module = mutant.module.removeprefix(_PREFIX)
        files = {str(room.modules[one].file.relative_to(ROOT)) for one in room.importers[module]}
        found = {
            name: test
            for name, test in tests.items()
            if files & test.lines.keys() or module in room.tests[name.partition("::")[0]]
        }
    return dict(sorted(found.items(), key=lambda one: one[1].cpu_s))


def _fate(mutant: Mutant, tests: Mapping[str, SeenTest]) -> Fate:
    if not tests:
        return Fate.UNREACHED
    file = str(ROOT / "src" / "patchbay" / mutant.file)
    try:
        code = mutant.compiled(file)
    except (SyntaxError, ValueError, TypeError):
        return Fate.KILLED
    limits_s = {name: _TIMES * test.cpu_s + _IMPORT_S for name, test in tests.items()}
    return tried(mutant.module, code, limits_s, wall_s=2 * sum(limits_s.values()))
