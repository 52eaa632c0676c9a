"""The comparison of log-probabilities that were measured where an adapter was trained and where it serves. Pure.

Two engines never agree to the last bit: kernels add in other orders and round otherwise. By how much, the base itself
shows, which both have scored without any adapter; what an adapter may differ by is learnt from that.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from math import sqrt

# In nats. One token that differs by more counts as this much: a token that is nearly impossible differs by many.
CLIP = 3.0
# The base is another one where its rows differ by more than so many times the trainer's own noise, within these limits
# in nats. Measured on the demo's base and on SmolLM2-135M in int4: float32 beside bfloat16 0.015 and 0.05, PEFT
# beside the engine 0.02 and 0.06, the weights rounded once more to 5 bits 0.13 and 0.57.
_TIMES_TRAINERS, _LEAST_CEILING, _MOST_CEILING = 4.0, 0.08, 0.25
# The same where the trainer's noise is not known.
_CEILING = 0.12
# The bound on an adapter's mean difference: so many times the base's noise, and this, and this share of its effect.
_TIMES_NOISE, _FLOOR, _OF_EFFECT = 2.0, 0.02, 0.02
# A token's log-probability is moved by the adapter where that is by more than this.
_MOVED = 0.2

Rows = Sequence[Sequence[float]]


@dataclass(frozen=True, slots=True)
class Comparison:
    """The differences of two measurements, in nats, each a mean over all tokens.

    `tokens`: how many were compared; `noise`: how far the base's rows are apart, and `ceiling`: what that may be;
    `apart`: how far the adapter's are, and `bound`: what that may be; `effect`, `served_effect`: how far the adapter
    moved the trainer's rows, and moves those that serve; `correlation`: of the two effects, token by token, 0 where one
    has none; `ratio`: the median of served over trained effect, of the tokens that the adapter moves, 1 where it moves
    none.
    """

    tokens: int
    noise: float
    ceiling: float
    apart: float
    effect: float
    served_effect: float
    bound: float
    correlation: float
    ratio: float

    @property
    def within(self) -> bool:
        """Whether the adapter serves as it was trained, as far as the base's noise lets anybody see."""
        return self.apart <= self.bound


@dataclass(frozen=True, slots=True)
class Measured:
    """Log-probabilities of the same rows, measured twice: by the trainer, and by the engine that serves."""

    trained_plain: Rows
    trained: Rows
    served_plain: Rows
    served: Rows


def noise_ceiling(trainers: float | None) -> float:
    """Returns how far the rows of one base may be apart, in nats. `trainers`: its noise in one place, None for unknown
    noise, as one of 0 is, too: it was measured with rows that were rounded alike."""
    if not trainers:
        return _CEILING
    return min(max(_TIMES_TRAINERS * trainers, _LEAST_CEILING), _MOST_CEILING)


def compare(measured: Measured, trainers_noise: float | None = None) -> Comparison:
    """Compares the two measurements. Raises ValueError where the rows have not the same lengths."""
    trained_plain, trained = flat(measured.trained_plain), flat(measured.trained)
    served_plain, served = flat(measured.served_plain), flat(measured.served)
    moved = [one - other for one, other in zip(trained, trained_plain, strict=True)]
    moves = [one - other for one, other in zip(served, served_plain, strict=True)]
    ceiling = noise_ceiling(trainers_noise)
    noise, effect = apart(served_plain, trained_plain), _size(moved)
    return Comparison(
        tokens=len(trained),
        noise=noise,
        ceiling=ceiling,
        apart=apart(served, trained),
        effect=effect,
        served_effect=_size(moves),
        bound=_TIMES_NOISE * min(noise, ceiling) + _FLOOR + _OF_EFFECT * effect,
        correlation=_correlation(moved, moves),
        ratio=_ratio(moved, moves),
    )


def flat(rows: Rows) -> list[float]:
    """Returns the values of all rows, one after the other."""
    return list(chain.from_iterable(rows))


def apart(one: Sequence[float], other: Sequence[float]) -> float:
    """Computes the mean absolute difference, in nats. Raises ValueError where the lengths differ."""
    return _size([first - second for first, second in zip(one, other, strict=True)])


def _size(differences: Sequence[float]) -> float:
    return sum(min(abs(value), CLIP) for value in differences) / max(len(differences), 1)


def _correlation(one: Sequence[float], other: Sequence[float]) -> float:
    """Computes the correlation about zero: the cosine of the two, since no effect is none in both."""
    product = sum(first * second for first, second in zip(one, other, strict=True))
    sizes = sqrt(sum(value * value for value in one) * sum(value * value for value in other))
    return product / sizes if sizes > 0 else 0.0


def _ratio(moved: Sequence[float], moves: Sequence[float]) -> float:
    ratios = sorted(now / then for then, now in zip(moved, moves, strict=True) if abs(then) > _MOVED)
    return ratios[len(ratios) // 2] if ratios else 1.0
