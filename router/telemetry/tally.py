"""Tallies: counts in plain numbers, which are put into Prometheus' form when they are read.

An increment by the library takes a lock and some calls, as much as a step of the request that it counts. A tally is
added to on the event loop alone, and read in the thread that renders the metrics.
"""

import itertools
import threading
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence

from prometheus_client import Counter, Histogram
from prometheus_client.core import Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample


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


class HistogramTally:
    """Tally of one histogram, for one set of labels. `bounds`: upper bounds of the buckets but the last; `counts`: of
    the values in each; `total`: the sum of all values."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Takes `value` in."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def values(self) -> Iterator[float]:
        """Yields the numbers of Prometheus' samples, in their order: the buckets, each with those before it, the count,
        the sum."""
        sums = [float(count) for count in itertools.accumulate(self.counts)]
        yield from sums
        yield sums[-1]
        yield self.total


class HistogramTallies(Collector):
    """Tallies of one `histogram`, which stays empty and gives their samples its names and labels.

    Register this, and not the histogram. `bounds`: its buckets, but for the last, which has no bound.
    """

    def __init__(self, histogram: Histogram, bounds: Sequence[float]) -> None:
        self._histogram = histogram
        self._bounds = bounds
        self._tallies: dict[tuple[str, ...], HistogramTally] = {}

    def of(self, *labels: str) -> HistogramTally:
        """Makes the tally for one set of labels. Call it once for each."""
        tally = self._tallies[labels] = HistogramTally(self._bounds)
        if labels:
            self._histogram.labels(*labels)
        return tally

    def describe(self) -> Iterable[Metric]:
        """Returns the histogram's description."""
        return self._histogram.describe()

    def collect(self) -> Iterator[Metric]:
        """Yields the histogram with what was observed in it."""
        for metric in self._histogram.collect():
            values: dict[tuple[str, ...], Iterator[float]] = {}
            metric.samples = [self._filled(sample, values) for sample in metric.samples]
            yield metric

    def _filled(self, sample: Sample, values: dict[tuple[str, ...], Iterator[float]]) -> Sample:
        """Returns `sample` with its number: the next in `values`, by labels."""
        if sample.name.endswith("_created"):
            return sample
        labels = tuple(value for name, value in sample.labels.items() if name != "le")
        if labels not in values:
            values[labels] = self._tallies[labels].values()
        return sample._replace(value=next(values[labels]))
