"""The watch on a run: divergence, overfitting and forgetting, as pure functions over its history."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Final, Literal

from patchbay.tuning.training.history import HistoryPoint, losses
from patchbay.tuning.training.recipe import WatchSection

Kind = Literal["divergence", "overfitting", "forgetting"]
# Losses of single batches jump: the median, or the mean, of so many is taken.
_SMOOTH: Final = 8
# A gradient that overflows once in a while is skipped by the trainer.
_BAD_GRADIENTS: Final = 3
# Rises that nobody would see, in nats.
_LEAST_RISE: Final = 0.02
_LEAST_DIVERGENCE: Final = 0.5


@dataclass(frozen=True, slots=True)
class WatchFinding:
    """Something that is wrong with a run at `step`. `ends`: whether the run ends by it; `words`: what it is and what to
    do."""

    kind: Kind
    step: int
    words: str
    ends: bool


def look(points: Sequence[HistoryPoint], settings: WatchSection) -> list[WatchFinding]:
    """Says what is wrong with the run whose history is `points`, at its last point."""
    found = (divergence(points, settings), overfitting(points, settings), forgetting(points, settings))
    return [one for one in found if one is not None]


def divergence(points: Sequence[HistoryPoint], settings: WatchSection) -> WatchFinding | None:
    """Finds a loss that is no number, or that rose, smoothed, to a multiple of its best."""
    seen = losses(points, "loss")
    if not seen:
        return None
    step, last = seen[-1]
    hint = "Halve schedule.rate, or lengthen schedule.warmup."
    if not math.isfinite(last):
        return WatchFinding("divergence", step, f"The loss is no number ({last}) at step {step}. {hint}", ends=True)
    gradients = [point.gradient for point in points if point.gradient is not None][-_BAD_GRADIENTS:]
    if len(gradients) == _BAD_GRADIENTS and not any(map(math.isfinite, gradients)):
        words = f"The gradient was no number {_BAD_GRADIENTS} times until step {step}. {hint}"
        return WatchFinding("divergence", step, words, ends=True)
    values = [value for _, value in seen]
    middles = [median(values[end - _SMOOTH : end]) for end in range(_SMOOTH, len(values) + 1)]
    if len(middles) <= _SMOOTH or min(middles) <= 0:
        return None
    # A loss of 0.02 that doubles is no divergence.
    if middles[-1] > max(settings.divergence * min(middles), min(middles) + _LEAST_DIVERGENCE):
        words = f"The loss rose from {min(middles):.3f} to {middles[-1]:.3f} by step {step}: the run diverges. {hint}"
        return WatchFinding("divergence", step, words, ends=True)
    return None


def overfitting(points: Sequence[HistoryPoint], settings: WatchSection) -> WatchFinding | None:
    """Finds a validation loss that rises over its best, by a share of it, while the training loss goes down."""
    validated, trained = losses(points, "validation"), losses(points, "loss")
    if len(validated) < 3 or not trained:
        return None
    best_at, best = min(validated, key=lambda pair: pair[1])
    step, last = validated[-1]
    before = [value for at, value in trained if at <= best_at][-_SMOOTH:]
    after = [value for at, value in trained if at <= step][-_SMOOTH:]
    if not before or last <= best + max(best * settings.overfitting, _LEAST_RISE) or fmean(after) >= fmean(before):
        return None
    words = (
        f"The validation loss rose from {best:.3f} at step {best_at} to {last:.3f} at step {step}, while the training "
        "loss went down: the run learns its rows by heart. Fewer epochs, more rows or adapter.dropout help."
    )
    return WatchFinding("overfitting", step, words, ends=settings.then == "end")


def forgetting(points: Sequence[HistoryPoint], settings: WatchSection) -> WatchFinding | None:
    """Finds a loss on the general rows that rose over the base's own, which is the first point's, by the bound."""
    general = losses(points, "general")
    if len(general) < 2:
        return None
    base, (step, last) = general[0][1], general[-1]
    if last - base <= settings.forgetting:
        return None
    words = (
        f"The loss on general rows is {last:.3f} at step {step}, {last - base:.2f} over the base's: the model forgets. "
        "Mix general rows into the training data, or lower schedule.rate, epochs or adapter.rank."
    )
    return WatchFinding("forgetting", step, words, ends=settings.then == "end")
