"""The ledger of a canary: its counts so far, and the evidence made of them.

It is immutable and grows by counts alone, so that the same counts in the same order give the same evidence bit for bit.
"""

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from patchbay.router.canary.evidence import Mean, Rate, Wealth, no_worse, worse
from patchbay.router.canary.plan import MetricConfig, PlanConfig

LOSS, TIE, WIN = 0.0, 0.5, 1.0
_MOST_SLICES = 200
_UNUSUAL = 3.0


@dataclass(frozen=True, slots=True)
class CallersSeen:
    """A router's observations about callers.

    `unit`: what is assigned there, `caller` or `request`; `callers`: their number; `error`: the probability that a new
    caller is taken for a known one.
    """

    unit: str
    callers: int
    error: float

    def is_news(self, told: "CallersSeen") -> bool:
        """Whether this differs enough from `told`, the last report, to be reported."""
        return self.unit != told.unit or self.callers >= 1.5 * told.callers

    def after(self, other: "CallersSeen | None") -> "CallersSeen":
        """Merges this with earlier observations, of this router or another. The unit is that of the later one."""
        if other is None:
            return self
        return CallersSeen(self.unit, max(self.callers, other.callers), max(self.error, other.error))


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """The counts since the last look, of callers who were assigned while the canary had `share` of them (0 to 1).

    `canary`, `other`: requests that ended, of callers that are seen first; `bad`: by metric, the callers of each arm to
    whom something bad happened first; `own`: bad ones of the `canary` requests, by metric, where that is another number
    (an answer that is voted down after it had counted as good makes `own` exceed `canary` for once); `wins`: pairs of
    answers by the canary's result: 0, 0.5 or 1; `tripped`: the reason why a router sends it nothing; `shadowed`: how
    many of the `canary` requests were copies; `seen`: the router's observations about callers, where there is news.
    """

    share: float
    canary: int = 0
    other: int = 0
    bad: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    wins: Mapping[float, int] = field(default_factory=dict)
    own: Mapping[str, int] | None = None
    tripped: str | None = None
    shadowed: int = 0
    seen: CallersSeen | None = None

    @property
    def as_json(self) -> dict[str, Any]:
        """The document that `counts_of` reads."""
        document = {"share": self.share, "canary": self.canary, "other": self.other}
        return document | {
            "bad": {name: list(pair) for name, pair in self.bad.items()},
            "wins": {str(value): count for value, count in self.wins.items()},
            "own": None if self.own is None else dict(self.own),
            "tripped": self.tripped,
            "shadowed": self.shadowed,
            "seen": None if self.seen is None else [self.seen.unit, self.seen.callers, self.seen.error],
        }


def counts_of(document: Mapping[str, Any]) -> Counts:
    """Reads counts from their JSON."""
    bad = {name: (pair[0], pair[1]) for name, pair in document["bad"].items()}
    wins = {float(value): count for value, count in document["wins"].items()}
    # Routers of earlier versions report nothing about callers.
    seen = document.get("seen")
    return Counts(
        share=document["share"],
        canary=document["canary"],
        other=document["other"],
        bad=bad,
        wins=wins,
        own=document["own"],
        tripped=document["tripped"],
        shadowed=document["shadowed"],
        seen=None if seen is None else CallersSeen(*seen),
    )


def folded(counts: Iterable[Counts]) -> tuple[Counts, ...]:
    """Merges counts to as few as possible: one for each share, in the order of shares. Folding in pieces gives the same
    result as folding all at once."""
    found: dict[float, Counts] = {}
    for part in counts:
        known = found.get(part.share)
        found[part.share] = part if known is None else _sum(known, part)
    return tuple(found[share] for share in sorted(found))


def _sum(first: Counts, other: Counts) -> Counts:
    bad = {
        name: (first.bad.get(name, (0, 0))[0] + canary, first.bad.get(name, (0, 0))[1] + rest)
        for name, (canary, rest) in other.bad.items()
    }
    return Counts(
        share=first.share,
        canary=first.canary + other.canary,
        other=first.other + other.other,
        bad={**first.bad, **bad},
        wins=dict(Counter(first.wins) + Counter(other.wins)),
        own=None if first.own is None and other.own is None else dict(Counter(_own(first)) + Counter(_own(other))),
        tripped=first.tripped or other.tripped,
        shadowed=first.shadowed + other.shadowed,
        seen=first.seen if other.seen is None else other.seen.after(first.seen),
    )


def _own(counts: Counts) -> Mapping[str, int]:
    """Returns the bad ones of the canary's requests, by metric."""
    return counts.own if counts.own is not None else {name: canary for name, (canary, _) in counts.bad.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """The state of one metric.

    `canary`, `other`: bad requests so far; `worse`: the evidence that the canary is worse than tolerated; `no_worse`:
    that it is not worse by the margin; `differs`: that it is worse at all; `above`, `below`: that the canary's own rate
    is above the most that it may be, and below what does harm, where these are set; `undisturbed`: the others' requests
    and bad ones, without times at which bad ones were unusually many.
    """

    canary: int
    other: int
    worse: Wealth
    no_worse: Wealth
    differs: Wealth
    above: Wealth | None
    below: Wealth | None
    undisturbed: tuple[int, int] = (0, 0)

    def is_usual(self, others: int, bad: int) -> bool:
        """Whether `bad` ones of `others` requests are at most about three times as many as before.

        The square root allows for chance: the standard deviation of a count of rare events is that of its mean.
        """
        expected = others * (self.undisturbed[1] + 0.5) / (self.undisturbed[0] + 1)
        return bad <= _UNUSUAL * (expected + math.sqrt(expected)) + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """All counts and evidence of one canary.

    `lost`, `held_up`: the evidence that the canary's answers lose more pairs than they may, and that they do not;
    `tripped`: the reason why a router sends the canary nothing; `slices`: the evidence that it is worse within a slice,
    by `metric@facet=value`; `shadowed`: its requests that were copies; `seen`: observations about callers.
    """

    metrics: Mapping[str, Metric]
    lost: Wealth | None
    held_up: Wealth | None
    canary: int = 0
    other: int = 0
    pairs: int = 0
    tripped: str | None = None
    slices: Mapping[str, Wealth] = field(default_factory=dict)
    shadowed: int = 0
    seen: CallersSeen | None = None

    @classmethod
    def opened(cls, plan: PlanConfig) -> "Ledger":
        """Returns the ledger before the first request."""
        bound = None if plan.win_margin is None else 0.5 - plan.win_margin
        return cls(
            metrics={name: _opened(config) for name, config in plan.metrics.items()},
            lost=None if bound is None else Mean(bound, above=False).start,
            held_up=None if bound is None else Mean(bound, above=True).start,
        )

    @property
    def as_json(self) -> dict[str, Any]:
        """The document that `ledger_of` reads, bit for bit."""
        document: dict[str, Any] = _finite(msgspec.to_builtins(self))
        return document

    def after(self, plan: PlanConfig, *counts: Counts) -> "Ledger":
        """Returns the ledger with all `counts` of a look added.

        While many more of the others' requests are bad than before, something hits both arms, and they look alike. That
        says nothing about how the canary behaves otherwise, so such counts show neither that it is no worse nor that it
        does no harm. Leaving them out depends only on the others, where they fared badly, so it makes a promotion no
        likelier.
        """
        undisturbed = {name for name, metric in self.metrics.items() if metric.is_usual(*_of_others(counts, name))}
        ledger = self
        for part in counts:
            ledger = ledger._with(plan, part, undisturbed)
        return ledger

    def _with(self, plan: PlanConfig, counts: Counts, undisturbed: Collection[str]) -> "Ledger":
        metrics = {
            name: self._grown(plan.metrics[name], name, counts, undisturbed=name in undisturbed)
            for name in self.metrics
        }
        lost, held_up = self.lost, self.held_up
        if counts.wins and plan.win_margin is not None and lost is not None and held_up is not None:
            bound = 0.5 - plan.win_margin
            lost, held_up = (
                Mean(bound, above=False).after(lost, counts.wins),
                Mean(bound, above=True).after(held_up, counts.wins),
            )
        return Ledger(
            metrics=metrics,
            lost=lost,
            held_up=held_up,
            canary=self.canary + counts.canary,
            other=self.other + counts.other,
            pairs=self.pairs + sum(counts.wins.values()),
            tripped=self.tripped or counts.tripped,
            slices=self._sliced(plan, counts),
            shadowed=self.shadowed + counts.shadowed,
            seen=self.seen if counts.seen is None else counts.seen.after(self.seen),
        )

    def _sliced(self, plan: PlanConfig, counts: Counts) -> Mapping[str, Wealth]:
        slices = dict(self.slices)
        for name, (canary, other) in counts.bad.items():
            metric, at, _ = name.partition("@")
            if at and 0 < counts.share < 1 and (name in slices or len(slices) < _MOST_SLICES):
                bet = worse(plan.metrics[metric].tolerated)
                slices[name] = bet.after(slices.get(name, bet.start), canary, other, counts.share)
        return slices

    def _grown(self, config: MetricConfig, name: str, counts: Counts, *, undisturbed: bool) -> Metric:
        known, (canary, other) = self.metrics[name], counts.bad.get(name, (0, 0))
        grown = known
        if undisturbed:
            grown = replace(grown, undisturbed=(known.undisturbed[0] + counts.other, known.undisturbed[1] + other))
        if canary or other:
            grown = replace(grown, canary=known.canary + canary, other=known.other + other)
        if (canary or other) and 0 < counts.share < 1:
            alike = no_worse(config.margin).after(known.no_worse, canary, other, counts.share)
            grown = replace(
                grown,
                worse=worse(config.tolerated).after(known.worse, canary, other, counts.share),
                no_worse=alike if undisturbed else known.no_worse,
                differs=worse(1.0).after(known.differs, canary, other, counts.share),
            )
        own = canary if counts.own is None else counts.own.get(name, 0)
        good, few = counts.canary - own, config.harmless
        if not (own or good):
            return grown
        if config.most is not None and known.above is not None:
            grown = replace(grown, above=Rate(config.most).after(known.above, own, good))
        if few is not None and known.below is not None and undisturbed:
            grown = replace(grown, below=Mean(few, above=False).after(known.below, {1.0: own, 0.0: good}))
        return grown


def _of_others(counts: Iterable[Counts], name: str) -> tuple[int, int]:
    """Returns the others' requests, and how many of them were bad."""
    return sum(part.other for part in counts), sum(part.bad.get(name, (0, 0))[1] for part in counts)


def ledger_of(document: Mapping[str, Any]) -> Ledger:
    """Reads a ledger from its JSON. Raises ValueError where this version cannot read it."""
    return msgspec.convert(document, Ledger, strict=False)


def _finite(node: Any) -> Any:
    """Replaces floats that JSON has no number for by their words."""
    if isinstance(node, dict):
        return {key: _finite(value) for key, value in node.items()}
    if isinstance(node, (list, tuple)):
        return [_finite(item) for item in node]
    return node if not isinstance(node, float) or math.isfinite(node) else str(node)


def _opened(config: MetricConfig) -> Metric:
    above = None if config.most is None else Rate(config.most).start
    few = config.harmless
    below = None if few is None else Mean(few, above=False).start
    return Metric(
        canary=0,
        other=0,
        worse=worse(config.tolerated).start,
        no_worse=no_worse(config.margin).start,
        differs=worse(1.0).start,
        above=above,
        below=below,
    )
