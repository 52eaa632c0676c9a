"""The measure of what names persons and addresses: spans that are right, by language and kind."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from patchbay.tuning.names.marked import MarkedText

Span = tuple[int, int, str]


@dataclass(frozen=True, slots=True)
class Found:
    """The count of what was found in a group.

    `wanted`: marked spans; `told`: spans that were found; `right`: those that are both, to the character and of one
    kind; `covered`: marked spans that what was found covers whole, by any kind.
    """

    group: str
    wanted: int
    told: int
    right: int
    covered: int

    @property
    def recall(self) -> float:
        """The share of marked spans that were found exactly."""
        return self.right / self.wanted if self.wanted else 1.0

    @property
    def precision(self) -> float:
        """The share of found spans that are marked so."""
        return self.right / self.told if self.told else 1.0

    @property
    def coverage(self) -> float:
        """The share of marked spans of which nothing would be left to read."""
        return self.covered / self.wanted if self.wanted else 1.0


def measured(texts: Sequence[MarkedText], found: Sequence[Iterable[Span]]) -> list[Found]:
    """Compares what was found in each of `texts` with its marks: a row for each language, each kind, and all."""
    wanted, told, right, covered = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    for text, spans in zip(texts, found, strict=True):
        ours = set(spans)
        for counter, counted in ((wanted, set(text.spans)), (told, ours), (right, ours & set(text.spans))):
            counter.update(group for span in counted for group in (text.language, span[2], "all"))
        hidden = [span for span in text.spans if _hides(ours, span)]
        covered.update(group for span in hidden for group in (text.language, span[2], "all"))
    groups = [*sorted({text.language for text in texts}), *sorted({"PERSON", "LOCATION"}), "all"]
    return [Found(group, wanted[group], told[group], right[group], covered[group]) for group in groups]


def _hides(found: Iterable[Span], span: Span) -> bool:
    """Says whether every character of `span` lies in something that was found."""
    hidden = {place for start, end, _ in found for place in range(start, end)}
    return hidden.issuperset(range(span[0], span[1]))
