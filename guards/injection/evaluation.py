"""How well the detector tells attacks from what only looks like them, on texts of templates it was not trained on."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from patchbay.guards.injection.classifier import InjectionClassifier
from patchbay.guards.injection.data.samples import Sample, held_out


@dataclass(frozen=True, slots=True)
class Share:
    """How many of a family's texts were taken for attacks."""

    taken: int
    total: int

    @property
    def share(self) -> float:
        """0 to 1."""
        return self.taken / max(1, self.total)


@dataclass(frozen=True, slots=True)
class InjectionEvaluation:
    """`attacks`, `benign`: by family. What is taken is right in the first and wrong in the second."""

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
        return Share(right, right + wrong).share


def evaluate(
    classifier: InjectionClassifier | None = None, samples: Iterable[Sample] | None = None, threshold: float = 0.5
) -> InjectionEvaluation:
    """Judges `samples`, else the held-out set. `threshold`: from which score on, 0 to 1, a text is an attack."""
    judge = (classifier or InjectionClassifier.trained()).judge
    counts: dict[tuple[bool, str], Share] = {}
    for one in held_out() if samples is None else samples:
        before = counts.get((one.attack, one.family), Share(0, 0))
        taken = before.taken + (judge(one.text).score >= threshold)
        counts[one.attack, one.family] = Share(taken, before.total + 1)
    attacks = {family: share for (attack, family), share in counts.items() if attack}
    benign = {family: share for (attack, family), share in counts.items() if not attack}
    return InjectionEvaluation(threshold, attacks, benign)


def _sum(shares: Iterable[Share]) -> Share:
    listed = list(shares)
    return Share(sum(one.taken for one in listed), sum(one.total for one in listed))
