"""What is known of a canary so far: counts, and the evidence that they made. Immutable, and grown by counts alone, so
that the same counts in the same order give the same evidence bit for bit."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from router.canary.evidence import Mean, Rate, Wealth, no_worse, worse
from router.canary.plan import MetricConfig, PlanConfig

LOSS, TIE, WIN = 0.0, 0.5, 1.0


@dataclass(frozen=True, slots=True)
class Counts:
    """What came since the last look, of callers who were assigned while the canary had `share` of them (0 to 1).

    `canary`, `other`: requests that ended; `bad`: by metric, how many of them were bad, of each; `wins`: pairs of
    answers by how the canary's did: 0, 0.5 or 1.
    """

    share: float
    canary: int = 0
    other: int = 0
    bad: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    wins: Mapping[float, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric's. `canary`, `other`: bad requests so far; `worse`, `no_worse`: the evidence that it is, and that it
    is not; `above`, `below`: of the canary's own rate and the most that it may be, where that is set."""

    canary: int
    other: int
    worse: Wealth
    no_worse: Wealth
    above: Wealth | None
    below: Wealth | None


@dataclass(frozen=True, slots=True)
class Ledger:
    """All of it. `lost`, `held_up`: the evidence that the canary's answers lose more than they may, and that not."""

    metrics: Mapping[str, Metric]
    lost: Wealth | None
    held_up: Wealth | None
    canary: int = 0
    other: int = 0
    pairs: int = 0

    @classmethod
    def opened(cls, plan: PlanConfig) -> "Ledger":
        """Before the first request."""
        bound = None if plan.win_margin is None else 0.5 - plan.win_margin
        return cls(
            {name: _opened(config) for name, config in plan.metrics.items()},
            None if bound is None else Mean(bound, above=False).start,
            None if bound is None else Mean(bound, above=True).start,
        )

    def after(self, plan: PlanConfig, counts: Counts) -> "Ledger":
        """With `counts` more."""
        metrics = {name: self._grown(plan.metrics[name], name, counts) for name in self.metrics}
        lost, held_up = self.lost, self.held_up
        if counts.wins and plan.win_margin is not None and lost is not None and held_up is not None:
            bound = 0.5 - plan.win_margin
            lost, held_up = (
                Mean(bound, above=False).after(lost, counts.wins),
                Mean(bound, above=True).after(held_up, counts.wins),
            )
        return Ledger(
            metrics,
            lost,
            held_up,
            self.canary + counts.canary,
            self.other + counts.other,
            self.pairs + sum(counts.wins.values()),
        )

    def _grown(self, config: MetricConfig, name: str, counts: Counts) -> Metric:
        known, (canary, other) = self.metrics[name], counts.bad.get(name, (0, 0))
        grown = replace(known, canary=known.canary + canary, other=known.other + other)
        if 0 < counts.share < 1:
            grown = replace(
                grown,
                worse=worse(config.tolerated).after(known.worse, canary, other, counts.share),
                no_worse=no_worse(config.margin).after(known.no_worse, canary, other, counts.share),
            )
        if config.most is None or known.above is None or known.below is None:
            return grown
        good = counts.canary - canary
        return replace(
            grown,
            above=Rate(config.most).after(known.above, canary, good),
            below=Mean(config.most, above=False).after(known.below, {1.0: canary, 0.0: good}),
        )


def _opened(config: MetricConfig) -> Metric:
    above = None if config.most is None else Rate(config.most).start
    below = None if config.most is None else Mean(config.most, above=False).start
    return Metric(0, 0, worse(config.tolerated).start, no_worse(config.margin).start, above, below)
