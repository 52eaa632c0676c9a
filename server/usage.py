"""A counter of the revisions that requests ask for, which shows how many places would have been enough.

An LRU cache of n places has a revision exactly where fewer than n others were asked for since its last use. So the
counts of these stack distances give the hits of a cache of every size at once. Source: R. L. Mattson et al.,
"Evaluation techniques for storage hierarchies", IBM Systems Journal 9(2), 1970.
"""

from collections import Counter

from patchbay.core.replica import RevisionUsage

MOST_COUNTED = 1024


class UsageCounter:
    """The stack distances of requests' revisions, counted on one event loop.

    A count takes time in proportion to its distance.
    """

    def __init__(self) -> None:
        self._recent: list[str] = []
        self._distances: Counter[int] = Counter()
        self._in_use: Counter[str] = Counter()
        self._first = 0
        self._far = 0
        self._peak = 0

    def begin(self, name: str) -> None:
        """Counts that a request asks for the revision `name`, and uses it until `end`."""
        self._count(name)
        self._in_use[name] += 1
        self._peak = max(self._peak, len(self._in_use))

    def end(self, name: str) -> None:
        """Counts that a request no longer uses the revision `name`."""
        self._in_use[name] -= 1
        if not self._in_use[name]:
            del self._in_use[name]

    def read(self) -> RevisionUsage:
        """Returns the counts so far."""
        longest = max(self._distances, default=-1)
        distances = tuple(self._distances[distance] for distance in range(longest + 1))
        return RevisionUsage(first=self._first, distances=distances, far=self._far, peak=self._peak)

    def _count(self, name: str) -> None:
        try:
            distance = len(self._recent) - 1 - self._recent.index(name)
        except ValueError:
            self._first += 1
        else:
            del self._recent[len(self._recent) - 1 - distance]
            if distance < MOST_COUNTED:
                self._distances[distance] += 1
            else:
                self._far += 1
        self._recent.append(name)
        # Distances beyond MOST_COUNTED are not distinguished, and the list must not grow for ever.
        if len(self._recent) > 4 * MOST_COUNTED:
            del self._recent[0]
