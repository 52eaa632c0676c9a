"""The results as tables for people, in Markdown, and their place in docs/scale.md."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from loadtests.scale.control import Plane, demand, writer_share
from loadtests.scale.costs import Decision, Operations, as_rows
from loadtests.scale.measures import Figures
from loadtests.scale.policies import ALL
from loadtests.scale.search import Needed

_PLANES = tuple(
    Plane(routers, replicas, canaries)
    for routers, replicas, canaries in ((1, 10, 1), (3, 30, 3), (10, 100, 10), (10, 1000, 10), (30, 1000, 30))
)


@dataclass(frozen=True, slots=True)
class Simulated:
    """The simulated results, which the same seed gives again, digit by digit.

    `groups`: figures by what their scenarios vary.
    """

    groups: Mapping[str, Sequence[Figures]]
    needed: Sequence[Needed]


@dataclass(frozen=True, slots=True)
class Measured:
    """The measured results of this machine at this moment.

    `table_us`: of the table of names, a revision on a replica.
    """

    decisions: Sequence[Decision]
    operations: Operations
    table_us: float


def simulated_tables(found: Simulated) -> dict[str, str]:
    """The tables of what was simulated, by name."""
    made = {name: _group(rows) for name, rows in found.groups.items()}
    return made | {"needed": _needed(found.needed)}


def measured_tables(found: Measured) -> dict[str, str]:
    """The tables of what was measured, by name."""
    decisions = [
        (decision.replicas, f"{decision.pick_us:,.0f}", f"{decision.fits_us:,.0f}", f"{decision.next_us:,.0f}")
        for decision in found.decisions
    ]
    operations = [*as_rows(found.operations).items()]
    operations.append(("names' table, a revision on a replica (CPU)", f"{found.table_us:.1f} µs"))
    return {
        "decisions": _table(("replicas", "pick, µs", "room, µs", "whose turn, 500 wait, µs"), decisions),
        "operations": _table(("operation", "takes"), operations),
        "control": _control(found.operations),
    }


def write_tables(page: Path, tables: Mapping[str, str]) -> None:
    """Puts the tables between their marks in `page`; the rest stays."""
    text = page.read_text()
    for name, table in tables.items():
        mark = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        text = mark.sub(lambda found, table=table: f"{found[1]}\n{table}\n{found[2]}", text)  # type: ignore[misc]
    page.write_text(text)


def _group(rows: Sequence[Figures]) -> str:
    columns = ("scenario", "policy", "requests", "good", "TTFT p50, s", "TTFT p99, s", "loads/s", "moved")
    return _table(columns, [_row(figures) for figures in rows])


def _row(figures: Figures) -> tuple[object, ...]:
    name = f"**{figures.policy}**" if figures.policy == ALL[-1] else figures.policy
    shown = (
        f"{figures.good:.1%}",
        _seconds(figures.p50_s),
        _seconds(figures.p99_s),
        f"{figures.loads_per_s:,.1f}",
        f"{figures.moved:,}",
    )
    return (figures.scenario, name, f"{figures.requests:,}", *shown)


def _seconds(value: float) -> str:
    return f"{value:.2f}" if math.isfinite(value) else "never"


def _needed(found: Sequence[Needed]) -> str:
    by_load: dict[tuple[str, int], dict[str, int | None]] = {}
    for search in found:
        by_load.setdefault((search.scenario, search.ideal), {})[search.policy] = search.replicas
    rows = [
        (load, ideal, *("over 32x" if many[policy] is None else many[policy] for policy in ALL))
        for (load, ideal), many in by_load.items()
    ]
    return _table(("load", "batches always full", *ALL), rows)


def _control(cost: Operations) -> str:
    columns = (
        "routers",
        "replicas",
        "canaries",
        "watches/s",
        "statuses/s",
        "writes/s",
        "of these tallies",
        "decisions/s",
    )
    rows = []
    for plane in _PLANES:
        asked = demand(plane)
        counts = (asked.watches, asked.statuses, asked.writes, asked.tallies, asked.looks)
        shown = (f"{count:,.0f}" for count in counts)
        rows.append((plane.routers, plane.replicas, plane.canaries, *shown, f"{writer_share(asked, cost):.0%}"))
    return _table((*columns, "SQLite's writer"), rows)


def _table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(map(str, line))} |\n" for line in lines)
