"""Tallies: counts in plain numbers, which are put into Prometheus' counters when these are read.

An increment by the library takes a lock and some calls, as much as a step of the request that it counts. A tally is
added to on the event loop alone, and read in the thread that renders the metrics.
"""

import threading
from collections.abc import Iterable

from prometheus_client import Counter
from prometheus_client.core import Metric
from prometheus_client.registry import Collector


class Tally:
    """Tally of one `counter`. `total`: what was counted so far; add to it."""

    __slots__ = ("_counter", "_passed_on", "total")

    def __init__(self, counter: Counter) -> None:
        self.total = 0
        self._counter = counter
        self._passed_on = 0

    def pass_on(self) -> None:
        """Brings the counter up to the total."""
        total = self.total
        self._counter.inc(total - self._passed_on)
        self._passed_on = total


class CounterTallies(Collector):
    """Tallies of a group of metrics. Register it before the counters, so that these are up to date when read."""

    def __init__(self) -> None:
        self._tallies: list[Tally] = []
        self._lock = threading.Lock()

    def of(self, counter: Counter) -> Tally:
        """Makes the tally of `counter`."""
        tally = Tally(counter)
        self._tallies.append(tally)
        return tally

    def describe(self) -> Iterable[Metric]:
        """Returns nothing: it has no metrics of its own."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Brings all counters up to date. Returns nothing."""
        # Two may read at the same time, and each count belongs into its counter once.
        with self._lock:
            for tally in list(self._tallies):
                tally.pass_on()
        return ()
