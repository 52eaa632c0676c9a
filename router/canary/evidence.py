"""Evidence that may be looked at after every event, and stays honest: e-processes. Pure.

An e-process is a bet against a hypothesis that on average wins nothing while that is true, however the bad events come
and whenever one looks. So where it exceeds 1/alpha the hypothesis is rejected, and that is wrong with a probability of
alpha at most over the whole of a canary (Ville's inequality). All here are mixtures of a few likelihood ratios, kept as
logarithms; the ratio of two arms is tested conditionally on each bad event: which arm it fell on, given the share of
callers that were assigned to the canary at the time. So it needs no model of the rate, which may drift.

Sources: M. Lindon, A. Malek, "Anytime-valid inference for multinomial count data", NeurIPS 2022 (arXiv 2011.03567);
I. Waudby-Smith, A. Ramdas, "Estimating means of bounded random variables by betting", JRSS B 86(1), 2024; R. Wang,
A. Ramdas, "False discovery rate control with e-values", JRSS B 84(3), 2022.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_RATIOS = 15
_LEAST_RATIO, _MOST_RATIO = 1.5, 20.0
_FRACTIONS = (0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.95)


@dataclass(frozen=True, slots=True)
class Wealth:
    """The state of a bet: the logarithm of what each of its parts has made."""

    logs: tuple[float, ...]

    @property
    def log_e(self) -> float:
        """The logarithm of the evidence: that of the mean of the parts."""
        most = max(self.logs)
        if most == -math.inf:
            return -math.inf
        return most + math.log(sum(math.exp(log - most) for log in self.logs) / len(self.logs))

    @property
    def e(self) -> float:
        """The evidence against the hypothesis: 1 says nothing, 1/alpha rejects it at alpha."""
        return math.exp(min(self.log_e, 700.0))

    def grown(self, by: Sequence[float]) -> "Wealth":
        """Returns the state after each part has made its value in `by`, as logarithms."""
        return Wealth(tuple(log + more for log, more in zip(self.logs, by, strict=True)))


@dataclass(frozen=True, slots=True)
class Ratio:
    """A bet on the ratio of two rates: how often something bad happens to the canary's callers, over how often to
    others.

    `bound`: the hypothesis's ratio; `ratios`: the ratios that are bet on, all above `bound` to show that the canary is
    worse, all below it to show that it is not. Method: Lindon and Malek, see above.
    """

    bound: float
    ratios: tuple[float, ...]

    @property
    def start(self) -> Wealth:
        """The state before the first event."""
        return Wealth((0.0,) * len(self.ratios))

    def after(self, wealth: Wealth, canary: int, other: int, share: float) -> Wealth:
        """Returns the state after more bad events.

        `canary`, `other`: bad events of the canary's callers and of others; `share`: the part of all callers that was
        assigned to the canary then, 0 to 1, both excluded.
        """
        if not (canary or other):
            return wealth
        null = _falls_on_canary(self.bound, share)
        made = []
        for ratio in self.ratios:
            bet = _falls_on_canary(ratio, share)
            made.append(canary * math.log(bet / null) + other * math.log((1 - bet) / (1 - null)))
        return wealth.grown(made)


def worse(tolerated: float = 1.0) -> Ratio:
    """Makes the bet that the canary is more than `tolerated` times (at least 1) as bad as the rest."""
    least = max(_LEAST_RATIO, tolerated * 1.25)
    return Ratio(tolerated, _spread(least, max(_MOST_RATIO, least * 4), _RATIOS))


def no_worse(margin: float) -> Ratio:
    """Makes the bet that the canary is less than `margin` times (above 1) as bad: what a promotion asks for."""
    return Ratio(margin, _spread(margin / 8, margin / 1.1, _RATIOS))


@dataclass(frozen=True, slots=True)
class Mean:
    """A bet on the mean of values from 0 to 1: that it is above `bound`, or below it.

    Each part bets a fixed share of its largest safe stake, so that none can lose everything (Waudby-Smith and Ramdas,
    see above).
    """

    bound: float
    above: bool

    @property
    def start(self) -> Wealth:
        """The state before the first value."""
        return Wealth((0.0,) * len(_FRACTIONS))

    def after(self, wealth: Wealth, counts: Mapping[float, int]) -> Wealth:
        """Returns the state after more values. `counts`: how many there are of each value."""
        most = 1 / self.bound if self.above else -1 / (1 - self.bound)
        made = [
            sum(count * math.log1p(part * most * (value - self.bound)) for value, count in counts.items())
            for part in _FRACTIONS
        ]
        return wealth.grown(made)


@dataclass(frozen=True, slots=True)
class Rate:
    """A bet that the canary's own bad rate is above `most`, whatever the others' is.

    It is needed beside a baseline without errors, where no ratio can be computed.
    """

    most: float

    @property
    def start(self) -> Wealth:
        """The state before the first request."""
        return Wealth((0.0,) * len(self._rates))

    @property
    def _rates(self) -> tuple[float, ...]:
        return _spread(min(0.99, self.most * 1.5), 0.995, 8)

    def after(self, wealth: Wealth, bad: int, good: int) -> Wealth:
        """Returns the state after more of the canary's requests."""
        return wealth.grown(
            [bad * math.log(rate / self.most) + good * math.log((1 - rate) / (1 - self.most)) for rate in self._rates]
        )


def rejected(e_values: Mapping[str, float], alpha: float) -> frozenset[str]:
    """Returns the hypotheses that are rejected so that a share of at most `alpha` of them is expected to be true,
    however they depend on each other.

    The e-BH procedure of Wang and Ramdas, see above. `e_values`: the evidence against each, by name.
    """
    falling = sorted(e_values, key=lambda name: -e_values[name])
    enough = [place for place, name in enumerate(falling, 1) if e_values[name] >= len(falling) / (place * alpha)]
    return frozenset(falling[: max(enough, default=0)])


def more_needed(bet: Ratio, wealth: Wealth, seen: Mapping[str, float], share: float, alpha: float) -> int | None:
    """Estimates how many more requests of the canary it takes to reject, if all goes on as it went.

    `seen`: requests and bad events so far, `canary`, `canary_bad`, `other`, `other_bad`; `share`: the canary's, 0 to 1;
    `alpha`: the level. The estimate goes by the expected growth of the best part. None where the counts are no evidence
    at all, so that no number of requests would do.
    """
    left = math.log(1 / alpha) - wealth.log_e
    if left > 0 and not (seen["canary"] and seen["other"]):
        return None
    # A half more of each keeps a first event from deciding all.
    own, rest = (seen["canary_bad"] + 0.5) / (seen["canary"] + 1), (seen["other_bad"] + 0.5) / (seen["other"] + 1)
    per_request = own + rest * (1 - share) / share
    falls, null = _falls_on_canary(own / rest, share), _falls_on_canary(bet.bound, share)
    best = max(_growth(falls, _falls_on_canary(ratio, share), null) for ratio in bet.ratios)
    return _times(left, best * per_request)


def more_to_show(bet: Ratio, wealth: Wealth, rate: float, share: float, alpha: float) -> int | None:
    """Estimates how many more requests of the canary it takes to show by `bet` that it is no worse.

    `rate`: how often something is bad in both arms; `share`: the canary's, 0 to 1; `alpha`: the level. None where no
    number would do.
    """
    left = math.log(1 / alpha) - wealth.log_e
    null = _falls_on_canary(bet.bound, share)
    best = max(_growth(share, _falls_on_canary(ratio, share), null) for ratio in bet.ratios)
    return _times(left, best * rate / share)


def more_below(bet: Mean, wealth: Wealth, rate: float, alpha: float) -> int | None:
    """Estimates how many more requests it takes to show by `bet` that a `rate` is below its bound. None where no number
    would do."""
    best = max(
        rate * bad + (1 - rate) * good
        for bad, good in zip(
            bet.after(bet.start, {1.0: 1}).logs,
            bet.after(bet.start, {0.0: 1}).logs,
            strict=True,
        )
    )
    return _times(math.log(1 / alpha) - wealth.log_e, best)


def _times(left: float, each: float) -> int | None:
    """Returns how often `each` is to be added until nothing is `left`."""
    if left <= 0:
        return 0
    return math.ceil(left / each) if each > 1e-9 else None


def _growth(falls: float, bet: float, null: float) -> float:
    return falls * math.log(bet / null) + (1 - falls) * math.log((1 - bet) / (1 - null))


def _falls_on_canary(ratio: float, share: float) -> float:
    """Returns the probability that a bad event is the canary's, where the canary is `ratio` times as bad."""
    return share * ratio / (share * ratio + 1 - share)


def _spread(least: float, most: float, count: int) -> tuple[float, ...]:
    step = (most / least) ** (1 / (count - 1))
    return tuple(least * step**place for place in range(count))
