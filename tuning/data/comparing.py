"""The comparison of two data sets, row by row."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from patchbay.tuning.data.rows import Row


@dataclass(slots=True)
class DataDifference:
    """The difference of two data sets. `same`: rows in both; `moved`: of these, those in another split; `changed`: rows
    with the same id and other contents, as ids; `added`, `removed`: what only one of them has, split and row; rows that
    changed are in neither."""

    same: int = 0
    moved: list[tuple[str, str, Row]] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    added: list[tuple[str, Row]] = field(default_factory=list)
    removed: list[tuple[str, Row]] = field(default_factory=list)


Placed = Iterable[tuple[str, Row]]


def compared(before: Placed, after: Placed) -> DataDifference:
    """Compares two data sets. A row that is there several times counts as often."""
    known: dict[str, list[tuple[str, Row]]] = {}
    for split, row in before:
        known.setdefault(row.digest, []).append((split, row))
    found = DataDifference()
    for split, row in after:
        places = known.get(row.digest)
        if not places:
            found.added.append((split, row))
            continue
        at = next((at for at, (was, _) in enumerate(places) if was == split), 0)
        was, _ = places.pop(at)
        found.same += 1
        if was != split:
            found.moved.append((was, split, row))
    found.removed = [one for places in known.values() for one in places]
    return _with_changed(found)


def _with_changed(found: DataDifference) -> DataDifference:
    new = {row.marks.id for _, row in found.added if row.marks.id is not None}
    found.changed = sorted(
        {str(row.marks.id) for _, row in found.removed if row.marks.id in new and row.marks.id is not None}
    )
    gone = set(found.changed)
    found.added = [one for one in found.added if one[1].marks.id not in gone]
    found.removed = [one for one in found.removed if one[1].marks.id not in gone]
    return found
