"""The tables of the measurement: the figures as rows, each beside its target. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from loadtests.guards_measure.arithmetic import ALL, SpanCounts
from tools.injection.evaluation import Share

Counts = Mapping[tuple[str, str], SpanCounts]
# Set before the first run.
LEAST_PRECISION, LEAST_RECALL, MOST_COST = 0.95, 0.95, 0.1
LEAST_REFUSALS, LEAST_ATTACKS, MOST_HARMLESS = 0.90, 0.80, 0.05
_COLUMNS: Final = (
    "spans",
    "ours: precision",
    "recall",
    "target",
    "Presidio: precision",
    "recall",
    "from 0.5 on",
    "recall",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureTable:
    """A table. `rows`: cells, the first of each is its name."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """The counts of our guards, of Presidio, and of what Presidio is sure of (a score of 0.5); None where Presidio did
    not run. `known`: the kinds that Presidio has, too."""

    ours: Counts
    peer: Counts | None
    sure: Counts | None
    known: frozenset[str]


def by_kind(title: str, beside: Beside, kinds: Sequence[str]) -> FigureTable:
    """Makes the table with a row for each kind, and one for all of them."""
    rows = [_row(beside, kind, (ALL, kind), has=kind in beside.known) for kind in sorted(kinds)]
    rows.append(_row(beside, "**all**", (ALL, ALL), has=bool(set(kinds) & beside.known)))
    return FigureTable(title=title, columns=("kind", *_COLUMNS), rows=rows)


def by_language(title: str, beside: Beside, languages: Sequence[str]) -> FigureTable:
    """Makes the table with a row for each language."""
    rows = [_row(beside, name, (name, ALL), has=bool(beside.known)) for name in sorted(languages)]
    return FigureTable(title=title, columns=("language", *_COLUMNS), rows=rows)


def cells_by_kind_and_language(
    title: str, beside: Beside, kinds: Sequence[str], languages: Sequence[str]
) -> FigureTable:
    """Makes the table of recall by kind and language: ours, and Presidio's behind the stroke."""
    rows = []
    for kind in sorted(kinds):
        cells = [kind]
        for language in sorted(languages):
            ours = beside.ours.get((language, kind), SpanCounts())
            peer = (beside.peer or {}).get((language, kind))
            theirs = "none" if kind not in beside.known else _found(peer) if peer is not None else "not run"
            cells.append(f"{_found(ours)} / {theirs}" if ours.there else "")
        rows.append(cells)
    return FigureTable(title=title, columns=("kind", *sorted(languages)), rows=rows)


def of_refusals(counted: Mapping[str, Mapping[bool, Share]]) -> FigureTable:
    """Makes the table of refusals by language."""
    rows = []
    for language, shares in sorted(counted.items(), key=lambda item: (item[0] == "all", item[0])):
        refuse, answer = (shares.get(refuses, Share(taken=0, total=0)) for refuses in (True, False))
        told = refuse.taken + answer.taken
        precision, recall = (refuse.taken / told if told else None), refuse.share if refuse.total else None
        cells = (str(refuse.total + answer.total), _share(precision), _share(recall))
        rows.append((language, *cells, _verdict(precision, recall, LEAST_REFUSALS)))
    return FigureTable(title="Refusals", columns=("language", "texts", "precision", "recall", "target"), rows=rows)


def of_injections(counted: Mapping[str, Share]) -> FigureTable:
    """Makes the table of injections by family, those of harmless texts last."""
    rows = []
    for family, share in sorted(counted.items(), key=lambda item: (item[0] == "benign", item[0])):
        harmless = family == "benign"
        met = share.share <= MOST_HARMLESS if harmless else share.share >= LEAST_ATTACKS
        low, high = share.interval
        taken = f"{share.share:.0%} ({low:.0%} to {high:.0%})"
        target = f"at most {MOST_HARMLESS:.0%}" if harmless else f"at least {LEAST_ATTACKS:.0%}"
        rows.append((family, str(share.total), taken, f"{target}: {'met' if met else 'missed'}"))
    return FigureTable(title="Injections", columns=("family", "texts", "taken for attacks", "target"), rows=rows)


def of_cost(rows: Mapping[str, Sequence[float | None]], sizes: Mapping[str, int]) -> FigureTable:
    """Makes the table of costs. `rows`: seconds by who took them, in the order of `sizes`; `sizes`: bytes by what was
    looked at. A target is for ours beside Presidio's."""
    costs = {
        name: [_per_kib(value, size) for value, size in zip(values, sizes.values(), strict=True)]
        for name, values in rows.items()
    }
    made = [(name, *map(_micro, values), _cost_target(name, costs)) for name, values in costs.items()]
    columns = ("µs per KiB", *sizes, f"target: at most {MOST_COST:.0%} of Presidio's")
    return FigureTable(title="Cost", columns=columns, rows=made)


def missed(tables: Sequence[FigureTable]) -> list[str]:
    """Returns what misses its target, by the table's title and the row's name."""
    return [
        f"{table.title}: {row[0].strip('*')}"
        for table in tables
        for row in table.rows
        if any("missed" in cell for cell in row[1:])
    ]


def _row(beside: Beside, name: str, key: tuple[str, str], *, has: bool) -> Sequence[str]:
    ours = beside.ours.get(key, SpanCounts())
    cells = [name, str(ours.there), _share(ours.precision), _share(ours.recall), _verdict(ours.precision, ours.recall)]
    for counts in (beside.peer, beside.sure):
        theirs = counts.get(key) if counts is not None else None
        cells += _theirs(theirs, has=has)
    return cells


def _theirs(counts: SpanCounts | None, *, has: bool) -> Iterator[str]:
    if not has:
        yield from ("has none", "")
    elif counts is None:
        yield from ("not run", "")
    else:
        yield from (_share(counts.precision), _share(counts.recall))


def _verdict(precision: float | None, recall: float | None, least_recall: float = LEAST_RECALL) -> str:
    """Says whether a precision and a recall meet their targets: what there is nothing of meets its own."""
    short = [
        name
        for name, value, least in (("precision", precision, LEAST_PRECISION), ("recall", recall, least_recall))
        if value is not None and value < least
    ]
    return f"missed: {' and '.join(short)}" if short else "met"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _found(counts: SpanCounts) -> str:
    return f"{counts.found} of {counts.there}"


def _per_kib(seconds: float | None, size: int) -> float | None:
    return None if seconds is None else seconds * 1e6 / (size / 1024)


def _micro(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}"


def _cost_target(name: str, costs: Mapping[str, Sequence[float | None]]) -> str:
    ours, theirs = costs[name], costs.get("Presidio", [None] * len(costs[name]))
    pairs = [(own, their) for own, their in zip(ours, theirs, strict=True) if own is not None and their is not None]
    if not name.startswith("ours") or not pairs:
        return ""
    return "met" if all(own <= MOST_COST * their for own, their in pairs) else "missed"
