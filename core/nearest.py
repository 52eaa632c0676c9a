"""The nearest of known names to one that is not known, for messages that ask whether it was meant. Pure."""

import difflib
from collections.abc import Collection
from typing import Final

# Longer names are cut: the comparison takes time that grows with the product of both lengths.
_MOST_CHARACTERS: Final = 200
_MOST_COMPARED: Final = 5000
# Of more names than these, those are compared letter by letter that are most alike at a glance.
_LOOKED_AT: Final = 100
_LIKENESS: Final = 0.5


def nearest(name: str, known: Collection[str]) -> str | None:
    """Returns the one of `known` that `name` most likely is a slip of the pen for, None where it is none of them."""
    own = name[:_MOST_CHARACTERS].lower()
    by_lower: dict[str, str] = {}
    for one in [one for one in known if len(one) <= _MOST_CHARACTERS][:_MOST_COMPARED]:
        by_lower.setdefault(one.lower(), one)
    alike = list(by_lower)
    if len(alike) > _LOOKED_AT:
        alike = difflib.get_close_matches(own, alike, n=_LOOKED_AT, cutoff=_LIKENESS)
    near = [(slips(own, one), place) for place, one in enumerate(alike) if is_slip(own, one)]
    return by_lower[alike[min(near)[1]]] if near else None


def is_slip(name: str, known: str) -> bool:
    """Says whether `name` can be a slip of the pen for `known`, whatever their case."""
    one, other = name.lower(), known.lower()
    return slips(one, other) <= allowed_slips(one, other)


def allowed_slips(one: str, other: str) -> int:
    """Returns how many slips may lie between two names: one from three characters on, and one more for each four that
    the longer has beyond them; none where one of them is a single character."""
    longest = max(len(one), len(other))
    return 0 if min(len(one), len(other)) < 2 else max(0, (longest + 1) // 4)


def slips(one: str, other: str) -> int:
    """Returns how many letters are to be put in, taken out, replaced or swapped with the next to make `other` of `one`.

    Source: the optimal string alignment distance, L. Boytsov, "Indexing methods for approximate dictionary searching",
    ACM Journal of Experimental Algorithmics 16, 2011.
    """
    before, last = list[int](), list(range(len(other) + 1))
    for row, letter in enumerate(one, 1):
        now = [row]
        for column, its in enumerate(other, 1):
            least = min(last[column] + 1, now[-1] + 1, last[column - 1] + (letter != its))
            if row > 1 and column > 1 and letter == other[column - 2] and one[row - 2] == its:
                least = min(least, before[column - 2] + 1)
            now.append(least)
        before, last = last, now
    return last[-1]
