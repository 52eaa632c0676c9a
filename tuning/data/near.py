"""The search for texts that are nearly the same, by the Jaccard similarity of their pairs of words.

Candidates come from MinHash signatures in a locality-sensitive index, and each is then compared exactly.
Sources: Broder, "On the resemblance and containment of documents", 1997; Lee et al., "Deduplicating Training Data
Makes Language Models Better", ACL 2022 (arXiv 2107.06499).
"""

import itertools
import re
import unicodedata
import zlib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

from patchbay.core.distribution import translated_imports

if TYPE_CHECKING:
    import numpy

    Shingles = numpy.ndarray[Any, numpy.dtype[numpy.uint32]]

SIMILAR: Final = 0.8
# Rows among which near ones are looked for: their shingles and an index of them take some 4 KB each.
MOST_NEAR: Final = 150_000
_HASHES: Final = 64
# Candidates are looked for somewhat below the threshold, since signatures only estimate.
_SLACK: Final = 0.15
# Pairs of words in more than this share of the rows, and in more rows than the number, are a template's.
_COMMON_SHARE: Final = 0.25
_COMMON_LEAST: Final = 10
_WORD: Final = re.compile(r"\w+")


def folded(text: str) -> str:
    """Returns the words of a text without case, punctuation and spacing: what is alike then is the same text."""
    return " ".join(_WORD.findall(unicodedata.normalize("NFKC", text).casefold()))


def shingles(text: str) -> "Shingles":
    """Returns the hashes of the pairs of neighbouring words of a text, each once, sorted."""
    import numpy

    words = folded(text).split()
    pairs = [f"{one} {other}" for one, other in itertools.pairwise(words)] or words
    return numpy.unique(numpy.array([zlib.crc32(pair.encode()) for pair in pairs], dtype=numpy.uint32))


def without_common(sets: Sequence["Shingles"]) -> list["Shingles"]:
    """Leaves out what so many rows share that it is an instruction or a template, which says nothing of a row. A row
    of nothing else keeps what it has."""
    import numpy

    if not sets:
        return []
    found, counts = numpy.unique(numpy.concatenate(sets), return_counts=True)
    common = found[counts > max(_COMMON_LEAST, _COMMON_SHARE * len(sets))]
    if not len(common):
        return list(sets)
    rests = (numpy.setdiff1d(one, common, assume_unique=True) for one in sets)
    return [rest if len(rest) else one for rest, one in zip(rests, sets, strict=True)]


def similarity(one: "Shingles", other: "Shingles") -> float:
    """Computes the Jaccard similarity of two sets, 0 to 1; of two empty ones it is 0."""
    import numpy

    both = len(numpy.intersect1d(one, other, assume_unique=True))
    either = len(one) + len(other) - both
    return both / either if either else 0.0


class NearIndex:
    """An index of texts in which near ones are found. `threshold`: the least similarity, 0 to 1."""

    def __init__(self, threshold: float = SIMILAR) -> None:
        with translated_imports():
            import datasketch

        self._least = threshold
        self._lsh = datasketch.MinHashLSH(threshold=max(0.1, threshold - _SLACK), num_perm=_HASHES)
        self._blank = datasketch.MinHash(num_perm=_HASHES, hashfunc=int)
        self._sets: dict[int, Shingles] = {}

    def add(self, key: int, found: "Shingles") -> None:
        """Adds a text, by its shingles."""
        if len(found):
            self._sets[key] = found
            self._lsh.insert(key, self._signature(found), check_duplication=False)

    def nearest(self, found: "Shingles") -> tuple[int, float] | None:
        """Finds the key of the most similar text, the first of several, with its similarity; None where none is."""
        if not len(found):
            return None
        keys = sorted(self._lsh.query(self._signature(found)))
        similar = [(similarity(found, self._sets[key]), -key) for key in keys]
        best = max(similar, default=(0.0, 0))
        return (-best[1], best[0]) if similar and best[0] >= self._least else None

    def _signature(self, found: "Shingles") -> Any:
        signature = self._blank.copy()
        signature.update_batch(found.tolist())
        return signature


def leaders(sets: Iterable["Shingles"], threshold: float = SIMILAR) -> list[int]:
    """Groups texts with the first one that they are near to, in order; returns that one's number for each.

    A text never brings two groups together, so those that come later change nothing for those before.
    """
    index = NearIndex(threshold)
    found: list[int] = []
    for number, one in enumerate(sets):
        near = index.nearest(one)
        found.append(near[0] if near is not None else number)
        if near is None:
            index.add(number, one)
    return found
