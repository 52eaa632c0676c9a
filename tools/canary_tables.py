"""The tables of what the ready plans do, in docs/canary.md: `python -m tools.canary_tables docs/canary.md`.

For each plan, rate and number of callers: how often a canary that is as good as the others is rolled back, and how
often one that is worse is promoted. Ten minutes of one core for twenty canaries a cell; the same numbers each time.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from patchbay.router.canary.plan import ready_plans
from patchbay.router.canary.simulate import Outcome, SimulatedWorld, simulate

BEGIN, END = "<!-- canary tables: made by python -m tools.canary_tables -->", "<!-- end of canary tables -->"
_CALLERS = (1, 20, 300, 10_000)
_TIMES = (1, 3, 10)
_PER_S, _LOOK_EVERY_S = 20.0, 5.0
_MAX_REQUESTS = {"fast": 15_000, "careful": 40_000}


@dataclass(frozen=True, slots=True)
class Cell:
    """One simulated world, whose outcome fills cells of the table.

    `plan`: the name of a ready plan; `rate`: the share of errors of the other revisions; `times`: the factor on that
    rate for the canary; `callers`: their number; `runs`: the number of canaries to simulate.
    """

    plan: str
    rate: float
    times: int
    callers: int
    runs: int

    def outcome(self) -> Outcome:
        """Simulates its canaries, and returns the shares of their outcomes."""
        rates = {"errors": (self.rate, self.rate * self.times)}
        world = SimulatedWorld(
            bad=rates, per_s=_PER_S, tick_s=_LOOK_EVERY_S, callers=self.callers, requests=_MAX_REQUESTS[self.plan]
        )
        return simulate(ready_plans()[self.plan], world, runs=self.runs, seed=1)


def cells(runs: int) -> list[Cell]:
    """Lists the cells of all tables, with `runs` canaries each."""
    worlds = [(plan, rate, callers) for plan in _MAX_REQUESTS for rate in (0.001, 0.01) for callers in _CALLERS]
    return [Cell(plan, rate, times, callers, runs) for plan, rate, callers in worlds for times in _TIMES]


def table(known: Sequence[tuple[Cell, Outcome]]) -> str:
    """Formats the table as Markdown: a line for each plan, rate and number of callers."""
    heads = ["plan", "the others' errors", "callers", "canaries", "as good: rolled back", "promoted"]
    for times in _TIMES[1:]:
        heads += [f"{times} times as many: promoted", "rolled back"]
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    by_row: dict[tuple[str, float, int, int], list[Outcome]] = {}
    for cell, outcome in known:
        by_row.setdefault((cell.plan, cell.rate, cell.callers, cell.runs), []).append(outcome)
    for (plan, rate, callers, runs), (good, *worse) in by_row.items():
        shares = [good.rolled_back, good.promoted]
        shares += [share for outcome in worse for share in (outcome.promoted, outcome.rolled_back)]
        cells_of_row = [plan, f"{rate:.1%}", f"{callers:,}", str(runs), *(f"{share:.0%}" for share in shares)]
        lines.append(f"| {' | '.join(cells_of_row)} |")
    return "\n".join(lines)


def with_table(page: str, table_text: str) -> str:
    """Returns the page with the table between its marks. Raises ValueError where it has no marks."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"there are no marks for the tables: '{BEGIN}' and '{END}'")
    return f"{before}{BEGIN}\n{table_text}\n{END}{after}"


def simulated_cells(runs: int, jobs: int) -> Iterator[Sequence[tuple[Cell, Outcome]]]:
    """Simulates all cells in `jobs` processes. Yields the cells so far with their outcomes, after each whole line."""
    all_cells, finished = cells(runs), []
    with ProcessPoolExecutor(jobs) as pool:
        for cell, outcome in zip(all_cells, pool.map(Cell.outcome, all_cells), strict=True):
            finished.append((cell, outcome))
            if len(finished) % len(_TIMES) == 0:
                yield finished


def main(arguments: Sequence[str]) -> int:
    """Writes the tables into the given page, line by line: a run that is ended early leaves the lines so far."""
    parser = argparse.ArgumentParser(prog="python -m tools.canary_tables", description=__doc__)
    parser.add_argument("page", type=Path, help="docs/canary.md")
    parser.add_argument("--runs", type=int, default=30, help="canaries a cell")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    options = parser.parse_args(arguments)
    page = options.page.read_text(encoding="utf-8")
    with_table(page, "")

    for known in simulated_cells(options.runs, options.jobs):
        options.page.write_text(with_table(page, table(known)), encoding="utf-8")
        sys.stderr.write(f"{len(known)} cells\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
