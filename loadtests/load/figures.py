"""The figures of a run, from its planned requests and their records. Pure.

Times are counted from when a request was due; where it says "from sending", from when it went out, as most tools do.
A stream that was given up without a first token is in the times to first token with as long as it was waited for, the
least that it would have taken: left out, a server that answers nobody would look fast. One that failed at once is not,
since a server that fails fast would look fast, too.
"""

import math
from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

from loadtests.load.records import GIVEN_UP, Planned, Record
from loadtests.load.scenario import Scenario

_BINS = 60


@dataclass(frozen=True, slots=True)
class Sent:
    """A planned request and its record."""

    planned: Planned
    record: Record

    @property
    def served(self) -> bool:
        """Whether its client got what it asked for."""
        return self.record.outcome in ("answered", "cancelled")

    @property
    def ttft_s(self) -> float | None:
        """Seconds to the first token from when it was due; None for what has none to time."""
        return self._until_first(self.planned.due_s)

    @property
    def ttft_from_sending_s(self) -> float | None:
        """The same from when it was sent."""
        return self._until_first(self.record.sent_s)

    @property
    def token_time_s(self) -> float | None:
        """Seconds a token after the first one, of a stream that was answered whole."""
        record = self.record
        if record.outcome != "answered" or record.first_s is None or record.tokens < 2:
            return None
        return (record.end_s - record.first_s) / (record.tokens - 1)

    @property
    def latency_s(self) -> float | None:
        """Seconds to the end from when it was due, of what was answered whole."""
        return self.record.end_s - self.planned.due_s if self.record.outcome == "answered" else None

    def _until_first(self, since_s: float) -> float | None:
        if not self.planned.body.get("stream"):
            return None
        if self.record.first_s is not None:
            return self.record.first_s - since_s
        return self.record.end_s - since_s if self.record.kind in GIVEN_UP else None


@dataclass(frozen=True, slots=True)
class Spread:
    """The spread of values, in seconds."""

    count: int
    mean: float
    p50: float
    p95: float
    p99: float
    most: float


@dataclass(frozen=True, slots=True)
class Group:
    """The figures of a group of requests.

    `availability`: the share served; `error_share`: the share failed; `right`: the share of right answers, where that
    was looked at; times in seconds.
    """

    sent: int
    answered: int
    cancelled: int
    refused: int
    failed: int
    tokens: int
    availability: float
    error_share: float
    right: float | None
    ttft: Spread | None
    ttft_from_sending: Spread | None
    token_time: Spread | None
    latency: Spread | None
    worst_gap: Spread | None


@dataclass(frozen=True, slots=True)
class Bin:
    """The figures of one interval of the run.

    `due`: requests due in it; `ended`: answers that ended in it; `tokens`: of these; percentiles are of the requests
    that were due in it.
    """

    at_s: float
    due: int
    ended: int
    failed: int
    refused: int
    tokens: int
    ttft_p50: float | None
    ttft_p95: float | None
    token_time_p50: float | None
    token_time_p95: float | None


@dataclass(frozen=True, slots=True)
class Figures:
    """All figures of a run.

    Groups are of what is counted: due after `warm_s`; `bins` are of everything. `lag`: how late requests were sent,
    which is the load generator's own doing; `seconds`: that were counted, to the last arrival; `cold`: by whether the
    adapter was among as many as have slots that were asked for last, where the scenario says how many those are.
    """

    seconds: float
    bin_s: float
    sent: int
    counted: Group
    requests_per_s: float
    tokens_per_s: float
    lag: Spread | None
    by_model: dict[str, Group]
    by_tenant: dict[str, Group]
    by_revision: dict[str, Group]
    cold: dict[str, Group]
    errors: dict[str, int]
    bins: tuple[Bin, ...]


def percentile(values: Sequence[float], share: float) -> float:
    """The least value that `share` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def spread(values: Iterable[float | None]) -> Spread | None:
    """Computes the spread of the values that are not None; None where there are none."""
    found = [value for value in values if value is not None]
    if not found:
        return None
    p50, p95, p99 = (percentile(found, share) for share in (0.5, 0.95, 0.99))
    return Spread(len(found), fmean(found), p50, p95, p99, max(found))


def group(sent: Sequence[Sent]) -> Group:
    """Computes the figures of these requests."""
    outcomes = Counter(request.record.outcome for request in sent)
    judged = [request.record.right for request in sent if request.record.right is not None]
    count = max(1, len(sent))
    return Group(
        sent=len(sent),
        answered=outcomes["answered"],
        cancelled=outcomes["cancelled"],
        refused=outcomes["refused"],
        failed=outcomes["failed"],
        tokens=sum(request.record.tokens for request in sent),
        availability=(outcomes["answered"] + outcomes["cancelled"]) / count,
        error_share=outcomes["failed"] / count,
        right=sum(judged) / len(judged) if judged else None,
        ttft=spread(request.ttft_s for request in sent),
        ttft_from_sending=spread(request.ttft_from_sending_s for request in sent),
        token_time=spread(request.token_time_s for request in sent),
        latency=spread(request.latency_s for request in sent),
        worst_gap=spread(
            request.record.gap_s if request.record.tokens > 1 else None for request in sent if request.ttft_s
        ),
    )


def figures(scenario: Scenario, planned: Sequence[Planned], records: Sequence[Record]) -> Figures:
    """The numbers of a run. `records`: as many as were planned, in any order."""
    by_number = {record.number: record for record in records}
    every = [Sent(request, by_number[request.number]) for request in planned]
    counted = [request for request in every if request.planned.due_s >= scenario.warm_s]
    seconds, whole = scenario.seconds - scenario.warm_s, group(counted)
    return Figures(
        seconds=seconds,
        bin_s=max(1.0, scenario.seconds / _BINS),
        sent=len(every),
        counted=whole,
        requests_per_s=(whole.answered + whole.cancelled) / seconds,
        tokens_per_s=whole.tokens / seconds,
        lag=spread(request.record.sent_s - request.planned.due_s for request in counted),
        by_model=_by(counted, lambda request: request.planned.model),
        by_tenant=_by(counted, lambda request: request.planned.tenant) if scenario.tenants else {},
        by_revision=_by(
            [request for request in counted if request.record.revision], lambda request: request.record.revision
        ),
        cold=_cold(every, scenario),
        errors=dict(Counter(request.record.kind for request in counted if request.record.kind).most_common()),
        bins=_bins(every, max(1.0, scenario.seconds / _BINS)),
    )


def _by(sent: Sequence[Sent], key: Callable[[Sent], str]) -> dict[str, Group]:
    groups: dict[str, list[Sent]] = {}
    for request in sent:
        groups.setdefault(key(request), []).append(request)
    return {name: group(groups[name]) for name in sorted(groups, key=lambda name: -len(groups[name]))}


def recently_used(models: Sequence[Hashable], room: int) -> list[bool]:
    """Whether each was among the `room` distinct ones that were asked for last: resident, in a cache of that size that
    drops what was not used for longest."""
    kept: OrderedDict[Hashable, None] = OrderedDict()
    found = []
    for model in models:
        found.append(model in kept)
        kept[model] = None
        kept.move_to_end(model)
        if len(kept) > room:
            kept.popitem(last=False)
    return found


def _cold(every: Sequence[Sent], scenario: Scenario) -> dict[str, Group]:
    if scenario.stack.slots is None:
        return {}
    recent = recently_used([request.planned.model for request in every], scenario.stack.slots)
    pairs = [
        (request, was) for request, was in zip(every, recent, strict=True) if request.planned.due_s >= scenario.warm_s
    ]
    resident, cold = ([request for request, was in pairs if was == wanted] for wanted in (True, False))
    return {"asked for lately": group(resident), "not asked for lately": group(cold)}


def _bins(every: Sequence[Sent], width_s: float) -> tuple[Bin, ...]:
    last = max([width_s, *(max(request.record.end_s, request.planned.due_s) for request in every)])
    due: list[list[Sent]] = [[] for _ in range(int(last / width_s) + 1)]
    ended: list[list[Sent]] = [[] for _ in due]
    for request in every:
        due[int(request.planned.due_s / width_s)].append(request)
        ended[int(max(0.0, request.record.end_s) / width_s)].append(request)
    return tuple(_bin(place * width_s, *lists) for place, lists in enumerate(zip(due, ended, strict=True)))


def _bin(at_s: float, due: Sequence[Sent], ended: Sequence[Sent]) -> Bin:
    ttft, token_time = spread(request.ttft_s for request in due), spread(request.token_time_s for request in due)
    return Bin(
        at_s=at_s,
        due=len(due),
        ended=sum(request.served for request in ended),
        failed=sum(request.record.outcome == "failed" for request in ended),
        refused=sum(request.record.outcome == "refused" for request in ended),
        tokens=sum(request.record.tokens for request in ended),
        ttft_p50=ttft.p50 if ttft else None,
        ttft_p95=ttft.p95 if ttft else None,
        token_time_p50=token_time.p50 if token_time else None,
        token_time_p95=token_time.p95 if token_time else None,
    )
