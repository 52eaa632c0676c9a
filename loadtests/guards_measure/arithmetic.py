"""The arithmetic of the measurement: spans that are found of those that are there, and found ones that are false. Pure.

A span of a set is found where one found span of its kind covers it, white space at its ends aside. A found span is
false where it overlaps no span of the text, of whatever kind.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from loadtests.guards_measure.sets import GoldSpan, SetText

ALL: Final = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundIn:
    """A span that was found. `kinds`: the kinds of ours that it may stand for; `score`: from 0 to 1, 1 for ours."""

    start: int
    end: int
    kinds: frozenset[str]
    score: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanCounts:
    """Counts of spans.

    `there`: spans of the sets; `found`: those that were found; `told`: spans that were found, whatever they are;
    `false`: those of them that overlap nothing.
    """

    there: int = 0
    found: int = 0
    told: int = 0
    false: int = 0

    def __add__(self, other: "SpanCounts") -> "SpanCounts":
        return SpanCounts(
            there=self.there + other.there,
            found=self.found + other.found,
            told=self.told + other.told,
            false=self.false + other.false,
        )

    @property
    def recall(self) -> float | None:
        """The share of what is there that was found, 0 to 1; None where nothing is there."""
        return self.found / self.there if self.there else None

    @property
    def precision(self) -> float | None:
        """The share of what was found that is there, 0 to 1; None where nothing was found."""
        return 1 - self.false / self.told if self.told else None


def counts_of(
    texts: Sequence[SetText], found: Sequence[Sequence[FoundIn]], kinds: frozenset[str]
) -> Mapping[tuple[str, str], SpanCounts]:
    """Returns counts by language and kind, with `ALL` for either.

    `found`: what was found in each text; `kinds`: the kinds that are compared: other spans are left out, found ones
    that may stand for none of these as well.
    """
    counts: dict[tuple[str, str], SpanCounts] = {}
    for text, spans in zip(texts, found, strict=True):
        compared = [span for span in spans if span.kinds & kinds]
        for kind in kinds:
            _add(counts, text.language, kind, _of_kind(text, compared, kind))
        _add_total(counts, text, compared, kinds)
    return counts


def with_score(found: Sequence[Sequence[FoundIn]], least: float) -> list[list[FoundIn]]:
    """Returns what was found with at least this score."""
    return [[span for span in spans if span.score >= least] for spans in found]


def _of_kind(text: SetText, found: Sequence[FoundIn], kind: str) -> SpanCounts:
    there = [gold for gold in text.spans if gold.kind == kind]
    told = [span for span in found if kind in span.kinds]
    return SpanCounts(
        there=len(there),
        found=sum(any(_covers(text.text, span, gold) for span in told) for gold in there),
        told=len(told),
        false=sum(not any(_overlap(span, gold) for gold in text.spans) for span in told),
    )


def _add_total(
    counts: dict[tuple[str, str], SpanCounts], text: SetText, found: Sequence[FoundIn], kinds: Iterable[str]
) -> None:
    """Adds the counts of all kinds: a found span that may stand for several counts once."""
    by_kind = [_of_kind(text, found, kind) for kind in kinds]
    total = sum(by_kind, SpanCounts())
    false = sum(not any(_overlap(span, gold) for gold in text.spans) for span in found)
    _add(counts, text.language, ALL, replace(total, told=len(found), false=false))


def _add(counts: dict[tuple[str, str], SpanCounts], language: str, kind: str, more: SpanCounts) -> None:
    for key in ((language, kind), (ALL, kind)):
        counts[key] = counts.get(key, SpanCounts()) + more


def _covers(text: str, span: FoundIn, gold: GoldSpan) -> bool:
    inner = text[gold.start : gold.end]
    start = gold.start + len(inner) - len(inner.lstrip())
    end = gold.end - len(inner) + len(inner.rstrip())
    return span.start <= start and span.end >= end


def _overlap(span: FoundIn, gold: GoldSpan) -> bool:
    return span.start < gold.end and gold.start < span.end
