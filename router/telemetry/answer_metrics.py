"""Metrics of answers, by route, adapter, revision and arm. `metrics` holds them.

They are counted in plain numbers, and put into Prometheus' form when they are read: an observation by the library's own
histograms costs many times as much, and every request makes five. They are noted on the event loop, and read in a
thread: with many series that takes too long for streams to wait for.
"""

import time
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterator, Sequence

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar

from patchbay.core.money import TRILLION
from patchbay.router.telemetry.request_record import RequestRecord

DEFAULT_SERIES = 500
_LABELS = ("route", "adapter", "revision", "arm")
_Key = tuple[str, str, str, str]
_OTHER: _Key = ("other", "other", "other", "other")
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
_TOKEN_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.015, 0.025, 0.035, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1, 2.5)
_TOKENS = (1, 8, 32, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536, 131072)


class _Histogram:
    """Histogram in plain numbers: counts by bucket, each with the last sampled trace in it as the exemplar.

    `bounds`: upper bounds of the buckets but the last; `exemplars`: by bucket, the trace's id, the value, and Unix
    time; `total`: the sum of all values.
    """

    __slots__ = ("bounds", "counts", "exemplars", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.exemplars: dict[int, tuple[bytes, float, float]] = {}
        self.total = 0.0

    def observe(self, value: float, trace: bytes | None) -> None:
        """Takes `value` in. `trace`: its trace's id, None where that is not recorded."""
        bucket = bisect_left(self.bounds, value)
        self.counts[bucket] += 1
        self.total += value
        if trace is not None:
            self.exemplars[bucket] = (trace, value, time.time())

    def buckets(self) -> list[tuple[str, float, Exemplar | None]]:
        """Returns the counts in Prometheus' form: each bucket includes those before it."""
        buckets, total = [], 0
        for index, name in enumerate((*(str(float(bound)) for bound in self.bounds), "+Inf")):
            total += self.counts[index]
            buckets.append((name, float(total), _exemplar(self.exemplars.get(index))))
        return buckets


def _exemplar(sample: tuple[bytes, float, float] | None) -> Exemplar | None:
    if sample is None:
        return None
    trace, value, unix_s = sample
    return Exemplar({"trace_id": trace.decode()}, value, unix_s)


_HISTOGRAMS: tuple[tuple[str, str, Sequence[float]], ...] = (
    ("ttft_seconds", "Time from a request's head to the first byte of its streamed answer.", _SECONDS),
    ("token_seconds", "Time per token of a stream after its first byte.", _TOKEN_SECONDS),
    ("answer_seconds", "Time from a request's head to the end of its answer.", _SECONDS),
    ("prompt_tokens_per_answer", "Tokens of an answered request's prompt.", _TOKENS),
    ("answer_tokens_per_answer", "Tokens of an answer.", _TOKENS),
)
# Name, help text and divisor of each counter. Money is counted in whole trillionths.
_COUNTERS = (
    ("refusals", "Answers in which a guard found a refusal.", 1),
    ("schema_failures", "Answers in which a guard found something other than its schema asks for.", 1),
    ("cost", "What answers cost, in the unit of the configuration's prices.", TRILLION),
)


class _Series:
    """Series of one set of labels: requests by outcome, and the values of `_COUNTERS` and `_HISTOGRAMS`, in order."""

    __slots__ = ("counters", "histograms", "outcomes")

    def __init__(self) -> None:
        self.outcomes: dict[str, int] = {}
        self.counters = [0, 0, 0]
        self.histograms = [_Histogram(bounds) for _, _, bounds in _HISTOGRAMS]

    def note(self, record: RequestRecord) -> None:
        """Counts a request that has ended.

        The time of a request that failed, or that the cache answered, says nothing of who serves it. So only good
        answers of replicas are timed to their end.
        """
        outcome = "cached" if record.cached else record.outcome
        self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1
        counters = self.counters
        counters[0] += record.refused
        counters[1] += record.schema_failed
        counters[2] += record.cost
        if record.cached:
            return
        trace = record.span.trace if record.span.sampled else None
        ttft, per_token, seconds, prompt_tokens, answer_tokens = self.histograms
        if record.ttft_s is not None:
            ttft.observe(record.ttft_s, trace)
        if record.token_s is not None:
            per_token.observe(record.token_s, trace)
        if record.outcome == "ok":
            seconds.observe(record.seconds, trace)
            prompt_tokens.observe(record.prompt_tokens, trace)
            answer_tokens.observe(record.answer_tokens, trace)


class AnswerMetrics(Collector):
    """Metrics of answers by route, adapter, revision and arm, for at most `most` sets of these labels.

    Requests with further sets are counted under `other`. A revision that is not served any more is exported once more,
    and then dropped.
    """

    def __init__(self, most: int = DEFAULT_SERIES) -> None:
        self._most = most
        self._series: dict[_Key, _Series] = {}
        self._other = _Series()
        self._overflows = 0
        self._served: Callable[[], Collection[str]] | None = None

    def watch_served(self, names: Callable[[], Collection[str]]) -> None:
        """Sets the source of served names. `names`: gives the revisions, and the models without revisions, that are
        served or tried now; called when series are swept."""
        self._served = names

    def note(self, record: RequestRecord) -> None:
        """Counts a request that has ended."""
        key = (record.route, record.adapter, record.revision, record.arm)
        series = self._series.get(key)
        (series if series is not None else self._add_series(key)).note(record)

    def collect(self) -> Iterator[Metric]:
        """Yields all metrics in Prometheus' form. Histograms without a value are left out."""
        # A copy, since the event loop may add series while this thread reads.
        all_series = list(self._series.items())
        if self._other.outcomes:
            all_series.append((_OTHER, self._other))
        yield _answers(all_series)
        for index, (name, text, _) in enumerate(_HISTOGRAMS):
            family = HistogramMetricFamily(f"patchbay_router_{name}", text, labels=_LABELS)
            for key, series in all_series:
                histogram = series.histograms[index]
                if any(histogram.counts):
                    family.add_metric(key, histogram.buckets(), histogram.total)  # type: ignore[arg-type]  # a bucket may have no exemplar
            yield family
        for index, (name, text, unit) in enumerate(_COUNTERS):
            counter = CounterMetricFamily(f"patchbay_router_{name}", text, labels=_LABELS)
            for key, series in all_series:
                counter.add_metric(key, series.counters[index] / unit)
            yield counter
        self._sweep()

    def _add_series(self, key: _Key) -> _Series:
        """Returns a new series for `key`, or that of all others where there is no room."""
        if len(self._series) >= self._most:
            # A sweep looks at all series, so not every request that finds no room makes one.
            if self._overflows % self._most == 0:
                self._sweep()
            self._overflows += 1
        if len(self._series) >= self._most:
            return self._other
        series = self._series[key] = _Series()
        return series

    def _sweep(self) -> None:
        """Drops series of revisions and models that are not served any more."""
        if self._served is None:
            return
        served = self._served()
        for key in list(self._series):
            if key[1] and (key[2] or key[1]) not in served:
                self._series.pop(key, None)


def _answers(all_series: Sequence[tuple[_Key, _Series]]) -> Metric:
    text = "Requests to models that have ended. outcome: as of patchbay_router_requests, or cached."
    family = CounterMetricFamily("patchbay_router_answers", text, labels=(*_LABELS, "outcome"))
    for key, series in all_series:
        # A copy, for the same reason as in `collect`.
        for outcome, count in list(series.outcomes.items()):
            family.add_metric((*key, outcome), count)
    return family
