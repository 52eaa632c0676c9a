"""Evaluation of the classifier: attacks against harmless texts, none of which it was trained on."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Final

from patchbay.guards.injection.classifier import InjectionClassifier
from tools.injection.samples import Sample, held_out

# The normal distribution's place of a two-sided interval of 95%.
_PLACE: Final = 1.96


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """The number of a family's texts that were taken for attacks, out of their total."""

    taken: int
    total: int

    @property
    def share(self) -> float:
        """The share, 0 to 1."""
        return self.taken / max(1, self.total)

    @property
    def interval(self) -> tuple[float, float]:
        """The interval of 95% for the share. Source: E. B. Wilson, "Probable inference", 1927."""
        number, square = max(1, self.total), _PLACE**2
        middle = (self.share + square / (2 * number)) / (1 + square / number)
        half = _PLACE / (1 + square / number) * sqrt(self.share * (1 - self.share) / number + square / (4 * number**2))
        return max(0.0, middle - half), min(1.0, middle + half)


@dataclass(frozen=True, slots=True, kw_only=True)
class InjectionEvaluation:
    """The result of one evaluation.

    `threshold`: the score from which a text counts as an attack; `attacks`, `benign`: the texts taken for attacks, by
    family: rightly in the first, wrongly in the second.
    """

    threshold: float
    attacks: Mapping[str, Share]
    benign: Mapping[str, Share]

    @property
    def recall(self) -> float:
        """The share of attacks that were taken for attacks, 0 to 1."""
        return _sum(self.attacks.values()).share

    @property
    def false_positive_rate(self) -> float:
        """The share of harmless texts that were taken for attacks, 0 to 1."""
        return _sum(self.benign.values()).share

    @property
    def precision(self) -> float:
        """The share of attacks among what was taken for attacks, 0 to 1; it depends on how many of each there are."""
        right, wrong = _sum(self.attacks.values()).taken, _sum(self.benign.values()).taken
        return Share(taken=right, total=right + wrong).share


def evaluate(
    classifier: InjectionClassifier | None = None, samples: Iterable[Sample] | None = None, threshold: float = 0.5
) -> InjectionEvaluation:
    """Evaluates a classifier on samples.

    `classifier`: the trained one of this package by default; `samples`: the held-out ones by default; `threshold`: the
    score, 0 to 1, from which a text counts as an attack.
    """
    judge = (classifier or InjectionClassifier()).judge
    counts: dict[tuple[bool, str], Share] = {}
    for sample in held_out() if samples is None else samples:
        before = counts.get((sample.attack, sample.family), Share(taken=0, total=0))
        taken = before.taken + (judge(sample.text).score >= threshold)
        counts[sample.attack, sample.family] = Share(taken=taken, total=before.total + 1)
    attacks = {family: share for (attack, family), share in counts.items() if attack}
    benign = {family: share for (attack, family), share in counts.items() if not attack}
    return InjectionEvaluation(threshold=threshold, attacks=attacks, benign=benign)


def _sum(shares: Iterable[Share]) -> Share:
    listed = list(shares)
    return Share(taken=sum(share.taken for share in listed), total=sum(share.total for share in listed))
