"""Counts which revisions requests ask for, so that it can be told how many places would have been enough.

An LRU cache of n places has a revision exactly where fewer than n others were asked for since it was last: so the
counts of these distances tell the hits of every size at once. Source: R. L. Mattson et al., "Evaluation techniques for
storage hierarchies", IBM Systems Journal 9(2), 1970."""

from collections import Counter

from patchbay.core.replica import RevisionUsage

MOST_COUNTED = 1024


class UsageCounter:
    """Counts on one event loop. Takes time in the order of the distances that it counts."""

    def __init__(self) -> None:
        self._recent: list[str] = []
        self._distances: Counter[int] = Counter()
        self._in_use: Counter[str] = Counter()
        self._first = 0
        self._far = 0
        self._peak = 0

    def begin(self, name: str) -> None:
        """Counts that a request asks for the revision `name`, and has it until `end`."""
        self._count(name)
        self._in_use[name] += 1
        self._peak = max(self._peak, len(self._in_use))

    def end(self, name: str) -> None:
        """Ends what `begin` began."""
        self._in_use[name] -= 1
        if not self._in_use[name]:
            del self._in_use[name]

    def read(self) -> RevisionUsage:
        """The counts so far."""
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
        # Beyond this nothing is told apart, and a list that grows for ever would be one.
        if len(self._recent) > 4 * MOST_COUNTED:
            del self._recent[0]
