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
        one = self.record
        if one.outcome != "answered" or one.first_s is None or one.tokens < 2:
            return None
        return (one.end_s - one.first_s) / (one.tokens - 1)

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
    """How the values that there are are spread; None where there are none."""
    found = [value for value in values if value is not None]
    if not found:
        return None
    p50, p95, p99 = (percentile(found, share) for share in (0.5, 0.95, 0.99))
    return Spread(len(found), fmean(found), p50, p95, p99, max(found))


def group(sent: Sequence[Sent]) -> Group:
    """What became of these."""
    outcomes = Counter(one.record.outcome for one in sent)
    judged = [one.record.right for one in sent if one.record.right is not None]
    count = max(1, len(sent))
    return Group(
        sent=len(sent),
        answered=outcomes["answered"],
        cancelled=outcomes["cancelled"],
        refused=outcomes["refused"],
        failed=outcomes["failed"],
        tokens=sum(one.record.tokens for one in sent),
        availability=(outcomes["answered"] + outcomes["cancelled"]) / count,
        error_share=outcomes["failed"] / count,
        right=sum(judged) / len(judged) if judged else None,
        ttft=spread(one.ttft_s for one in sent),
        ttft_from_sending=spread(one.ttft_from_sending_s for one in sent),
        token_time=spread(one.token_time_s for one in sent),
        latency=spread(one.latency_s for one in sent),
        worst_gap=spread(one.record.gap_s if one.record.tokens > 1 else None for one in sent if one.ttft_s),
    )


def figures(scenario: Scenario, planned: Sequence[Planned], records: Sequence[Record]) -> Figures:
    """The numbers of a run. `records`: as many as were planned, in any order."""
    by_number = {record.number: record for record in records}
    every = [Sent(one, by_number[one.number]) for one in planned]
    counted = [one for one in every if one.planned.due_s >= scenario.warm_s]
    seconds, whole = scenario.seconds - scenario.warm_s, group(counted)
    return Figures(
        seconds=seconds,
        bin_s=max(1.0, scenario.seconds / _BINS),
        sent=len(every),
        counted=whole,
        requests_per_s=(whole.answered + whole.cancelled) / seconds,
        tokens_per_s=whole.tokens / seconds,
        lag=spread(one.record.sent_s - one.planned.due_s for one in counted),
        by_model=_by(counted, lambda one: one.planned.model),
        by_tenant=_by(counted, lambda one: one.planned.tenant) if scenario.tenants else {},
        by_revision=_by([one for one in counted if one.record.revision], lambda one: one.record.revision),
        cold=_cold(every, scenario),
        errors=dict(Counter(one.record.kind for one in counted if one.record.kind).most_common()),
        bins=_bins(every, max(1.0, scenario.seconds / _BINS)),
    )


def _by(sent: Sequence[Sent], key: Callable[[Sent], str]) -> dict[str, Group]:
    groups: dict[str, list[Sent]] = {}
    for one in sent:
        groups.setdefault(key(one), []).append(one)
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
    recent = recently_used([one.planned.model for one in every], scenario.stack.slots)
    pairs = [(one, was) for one, was in zip(every, recent, strict=True) if one.planned.due_s >= scenario.warm_s]
    resident, cold = ([one for one, was in pairs if was == wanted] for wanted in (True, False))
    return {"asked for lately": group(resident), "not asked for lately": group(cold)}


def _bins(every: Sequence[Sent], width_s: float) -> tuple[Bin, ...]:
    last = max([width_s, *(max(one.record.end_s, one.planned.due_s) for one in every)])
    due: list[list[Sent]] = [[] for _ in range(int(last / width_s) + 1)]
    ended: list[list[Sent]] = [[] for _ in due]
    for one in every:
        due[int(one.planned.due_s / width_s)].append(one)
        ended[int(max(0.0, one.record.end_s) / width_s)].append(one)
    return tuple(_bin(place * width_s, *lists) for place, lists in enumerate(zip(due, ended, strict=True)))


def _bin(at_s: float, due: Sequence[Sent], ended: Sequence[Sent]) -> Bin:
    ttft, token_time = spread(one.ttft_s for one in due), spread(one.token_time_s for one in due)
    return Bin(
        at_s=at_s,
        due=len(due),
        ended=sum(one.served for one in ended),
        failed=sum(one.record.outcome == "failed" for one in ended),
        refused=sum(one.record.outcome == "refused" for one in ended),
        tokens=sum(one.record.tokens for one in ended),
        ttft_p50=ttft.p50 if ttft else None,
        ttft_p95=ttft.p95 if ttft else None,
        token_time_p50=token_time.p50 if token_time else None,
        token_time_p95=token_time.p95 if token_time else None,
    )
