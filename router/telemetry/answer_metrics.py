"""What answers were like, by who gave them. Beside `metrics`, which holds it, the only module that knows of
prometheus_client.

Counted in plain numbers, and put into Prometheus' form when it is read: an observation by the library's own histograms
costs many times as much, and every request makes five. Noted on the event loop, and read in a thread: with many series
that takes too long for streams to wait for.
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
_BEYOND: _Key = ("other", "other", "other", "other")
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
_TOKEN_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.015, 0.025, 0.035, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1, 2.5)
_TOKENS = (1, 8, 32, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536, 131072)


class _Histogram:
    """Counts by bucket, each with the last sampled trace that fell into it: its id, the value, and Unix time."""

    __slots__ = ("bounds", "counts", "exemplars", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.exemplars: dict[int, tuple[bytes, float, float]] = {}
        self.total = 0.0

    def observe(self, value: float, trace: bytes | None) -> None:
        """Takes `value`. `trace`: its trace's id, None where nobody keeps that."""
        place = bisect_left(self.bounds, value)
        self.counts[place] += 1
        self.total += value
        if trace is not None:
            self.exemplars[place] = (trace, value, time.time())

    def buckets(self) -> list[tuple[str, float, Exemplar | None]]:
        """The counts as Prometheus has them: each bucket holds those before it."""
        told, below = [], 0
        for place, name in enumerate((*(str(float(bound)) for bound in self.bounds), "+Inf")):
            below += self.counts[place]
            told.append((name, float(below), _exemplar(self.exemplars.get(place))))
        return told


def _exemplar(kept: tuple[bytes, float, float] | None) -> Exemplar | None:
    return Exemplar({"trace_id": kept[0].decode()}, kept[1], kept[2]) if kept is not None else None


_HISTOGRAMS: tuple[tuple[str, str, Sequence[float]], ...] = (
    ("ttft_seconds", "Time from a request's head to the first byte of its streamed answer.", _SECONDS),
    ("token_seconds", "Time per token of a stream after its first byte.", _TOKEN_SECONDS),
    ("answer_seconds", "Time from a request's head to the end of its answer.", _SECONDS),
    ("prompt_tokens_per_answer", "Tokens of an answered request's prompt.", _TOKENS),
    ("answer_tokens_per_answer", "Tokens of an answer.", _TOKENS),
)
# By what each is divided when it is told: money is counted in whole trillionths.
_COUNTERS = (
    ("refusals", "Answers in which a guard found a refusal.", 1),
    ("schema_failures", "Answers in which a guard found something other than its schema asks for.", 1),
    ("cost", "What answers cost, in the unit of the configuration's prices.", TRILLION),
)


class _Series:
    """What is counted for one set of labels."""

    __slots__ = ("counters", "histograms", "outcomes")

    def __init__(self) -> None:
        self.outcomes: dict[str, int] = {}
        self.counters = [0, 0, 0]
        self.histograms = [_Histogram(bounds) for _, _, bounds in _HISTOGRAMS]

    def note(self, one: RequestRecord) -> None:
        """Takes a request that has ended. How long one took that did not end well, or whose answer had been kept, says
        nothing of who serves it, so only well-made answers are timed to their end."""
        outcome = "cached" if one.cached else one.outcome
        self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1
        counters = self.counters
        counters[0] += one.refused
        counters[1] += one.schema_failed
        counters[2] += one.cost
        if one.cached:
            return
        trace = one.span.trace if one.span.sampled else None
        ttft, per_token, seconds, prompt_tokens, answer_tokens = self.histograms
        if one.ttft_s is not None:
            ttft.observe(one.ttft_s, trace)
        if one.token_s is not None:
            per_token.observe(one.token_s, trace)
        if one.outcome == "ok":
            seconds.observe(one.seconds, trace)
            prompt_tokens.observe(one.prompt_tokens, trace)
            answer_tokens.observe(one.answer_tokens, trace)


class AnswerMetrics(Collector):
    """Metrics by route, adapter, revision and arm, for at most `most` sets of these; what comes beyond is counted under
    `other`. A revision that is not served any more is told once more, and dropped."""

    def __init__(self, most: int = DEFAULT_SERIES) -> None:
        self._most = most
        self._series: dict[_Key, _Series] = {}
        self._beyond = _Series()
        self._turned_away = 0
        self._served: Callable[[], Collection[str]] | None = None

    def watch_served(self, names: Callable[[], Collection[str]]) -> None:
        """Takes the revisions, and models that have none, that are served or tried now from `names`, when it has to
        know."""
        self._served = names

    def note(self, one: RequestRecord) -> None:
        """Counts a request that has ended."""
        key = (one.route, one.adapter, one.revision, one.arm)
        series = self._series.get(key)
        (series if series is not None else self._place(key)).note(one)

    def collect(self) -> Iterator[Metric]:
        """All of it in Prometheus' form. What was never observed is left out."""
        told = list(self._series.items())
        if self._beyond.outcomes:
            told.append((_BEYOND, self._beyond))
        yield _answers(told)
        for place, (name, text, _) in enumerate(_HISTOGRAMS):
            family = HistogramMetricFamily(f"patchbay_router_{name}", text, labels=_LABELS)
            for key, series in told:
                histogram = series.histograms[place]
                if any(histogram.counts):
                    family.add_metric(key, histogram.buckets(), histogram.total)  # type: ignore[arg-type]  # a bucket may have no exemplar
            yield family
        for place, (name, text, unit) in enumerate(_COUNTERS):
            counter = CounterMetricFamily(f"patchbay_router_{name}", text, labels=_LABELS)
            for key, series in told:
                counter.add_metric(key, series.counters[place] / unit)
            yield counter
        self._sweep()

    def _place(self, key: _Key) -> _Series:
        """The series of a new `key`, where there is room for it or can be made."""
        if len(self._series) >= self._most:
            # Looking costs as much as there are series, so it is not done for every request that finds no room.
            if self._turned_away % self._most == 0:
                self._sweep()
            self._turned_away += 1
        if len(self._series) >= self._most:
            return self._beyond
        series = self._series[key] = _Series()
        return series

    def _sweep(self) -> None:
        """Drops what is not served any more."""
        if self._served is None:
            return
        served = self._served()
        for key in list(self._series):
            if key[1] and (key[2] or key[1]) not in served:
                self._series.pop(key, None)


def _answers(told: Sequence[tuple[_Key, _Series]]) -> Metric:
    text = "Requests to models that have ended. outcome: as of patchbay_router_requests, or cached."
    family = CounterMetricFamily("patchbay_router_answers", text, labels=(*_LABELS, "outcome"))
    for key, series in told:
        for outcome, count in list(series.outcomes.items()):
            family.add_metric((*key, outcome), count)
    return family
