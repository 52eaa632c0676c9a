"""The agreement of annotators: Krippendorff's alpha for nominal labels, pure.

Source: Krippendorff, "Computing Krippendorff's Alpha-Reliability", 2011 (https://repository.upenn.edu/asc_papers/43).
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

Labels = Mapping[str, str]


def krippendorff_alpha(units: Iterable[Sequence[str]]) -> float | None:
    """Computes alpha of nominal labels: 1 is full agreement, 0 what chance gives, below 0 worse than that.

    `units`: the labels that each unit was given, by any number of annotators, in any order; a unit with fewer than two
    says nothing and is left out. Returns None where nothing was labelled twice, or all labels are the same one, so that
    there is nothing that chance could have got wrong.
    """
    pairable = [unit for unit in units if len(unit) >= 2]
    totals = Counter(label for unit in pairable for label in unit)
    n = sum(totals.values())
    expected = n * n - sum(count * count for count in totals.values())
    if not pairable or expected == 0:
        return None
    observed = 0.0
    for unit in pairable:
        within = Counter(unit)
        # Ordered pairs of unequal labels in the unit, weighted by 1 / (m - 1) as in the coincidence matrix.
        unequal = len(unit) ** 2 - sum(count * count for count in within.values())
        observed += unequal / (len(unit) - 1)
    return 1 - (n - 1) * observed / expected


def disagreements(labels: Mapping[str, Labels]) -> list[str]:
    """Lists the units with different labels, in order. `labels`: of each unit, by annotator."""
    return [unit for unit, given in labels.items() if len(set(given.values())) > 1]


def meaning(alpha: float | None) -> str:
    """Says in words what an alpha allows. Source: Krippendorff, "Content Analysis", 2004, p. 241."""
    if alpha is None:
        return "too few labels to tell"
    if alpha >= 0.8:
        return "reliable"
    return "fit for tentative conclusions" if alpha >= 0.667 else "too low: make the guidelines clearer"
