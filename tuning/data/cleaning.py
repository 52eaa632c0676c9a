"""The cleaning of a data set: safe mends of texts, rows that go, and what guards find taken out where asked for.

Every change is told. A row is mended first, then looked at, so that rows which differ in spacing alone are duplicates.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

from patchbay.core.errors import ConfigError
from patchbay.core.names import meant
from patchbay.guards.verdict import FoundSpan
from patchbay.tuning.data.guarding import SETS, TextGuards, replaced
from patchbay.tuning.data.near import MOST_NEAR, SIMILAR, NearIndex, leaders, shingles, without_common
from patchbay.tuning.data.rows import Row
from patchbay.tuning.data.texts import cut_reason, mended

# What a clean-up may drop. Exact duplicates always go.
DROPPED: Final = ("empty", "cut", "near-duplicates", "leakage", "contradictions", *SETS)
Placed = tuple[str, int, Row]


@dataclass(frozen=True, slots=True, kw_only=True)
class CleaningPlan:
    """The wishes beside the safe mends. `redact`: sets (`pii`, `secrets`) or kinds (`EMAIL`) that are replaced by
    their kind; `drop`: of `DROPPED`, rows that go; `near`: the similarity from which texts are nearly the same;
    `suites`: what evaluations ask; rows that ask nearly that go."""

    redact: frozenset[str] = frozenset()
    drop: frozenset[str] = frozenset()
    near: float = SIMILAR
    suites: tuple[str, ...] = ()

    @property
    def compares(self) -> bool:
        """Whether rows are compared with each other, or with what evaluations ask."""
        return bool(self.drop & {"near-duplicates", "leakage", "contradictions"}) or bool(self.suites)


@dataclass(frozen=True, slots=True, kw_only=True)
class RowChange:
    """A change of one row: its `split` and number there, from 1, the `place` in it, empty for the whole row, and what
    was done. It never holds what was taken out."""

    split: str
    row: int
    what: str
    place: str = ""
    id: str | None = None


@dataclass(slots=True)
class Cleaning:
    """A clean-up under way. `guards`: needed where something is redacted or dropped by them; `tell`: called with each
    change. `counts`: how often each was made."""

    plan: CleaningPlan
    guards: TextGuards | None
    tell: Callable[[RowChange], None]
    counts: Counter[str] = field(default_factory=Counter)

    def run(self, read: Callable[[], Iterable[tuple[str, Row]]]) -> Iterator[tuple[str, Row]]:
        """Yields the rows that stay, mended. `read`: reads all rows with their splits, twice where rows are compared
        with each other. Raises GuardFailed."""
        gone = self._compared(read()) if self.plan.compares else {}
        seen: set[str] = set()
        for at, (split, number, row) in enumerate(_numbered(read())):
            better = self._mended(split, number, row)
            reason = "duplicate" if better.digest in seen else gone.get(at) or self._reason(better)
            if reason is not None:
                self._note(split, number, row, f"dropped: {reason}")
            else:
                seen.add(better.digest)
                yield split, better

    def _mended(self, split: str, number: int, row: Row) -> Row:
        texts: dict[tuple[str, int], str] = {}
        for place in row.places():
            text, made = mended(place.text)
            spans = self._redacted(text)
            made += [f"redacted: {span.kind}" for span in spans]
            if made:
                texts[place.part, place.index] = replaced(text, spans)
                for what in made:
                    self._note(split, number, row, what, str(place))
        return row.with_texts(texts) if texts else row

    def _redacted(self, text: str) -> list[FoundSpan]:
        if self.guards is None or not self.plan.redact:
            return []
        return [span for span in self.guards.look(text) if {span.guard, span.kind} & self.plan.redact]

    def _reason(self, row: Row) -> str | None:
        """Says why a row goes by itself; None where it stays."""
        drop = self.plan.drop
        if "empty" in drop and not all(answer.strip() for answer in row.answers):
            return "empty"
        if "cut" in drop and any(cut_reason(answer) for answer in row.answers):
            return "cut"
        return self._guarded(row)

    def _guarded(self, row: Row) -> str | None:
        wanted = self.plan.drop & set(SETS)
        if self.guards is None or not wanted:
            return None
        found = {span.guard for place in row.places() for span in self.guards.look(place.text)}
        return next((name for name in SETS if name in found & wanted), None)

    def _compared(self, rows: Iterable[tuple[str, Row]]) -> Mapping[int, str]:
        """Says which rows go since others are like them, by their number among all; of the first `MOST_NEAR`."""
        splits, asked, whole, answers = [], [], [], []
        for split, row in islice(rows, MOST_NEAR):
            splits.append(split)
            asked.append(shingles(row.asked))
            whole.append(shingles("\n".join(place.text for place in row.places() if place.role != "system")))
            answers.append("\n".join(row.answers).strip())
        gone: dict[int, str] = {}
        if "near-duplicates" in self.plan.drop:
            found = leaders(without_common(whole), self.plan.near)
            gone |= {
                at: "near-duplicate" for at, first in enumerate(found) if first != at and splits[first] == splits[at]
            }
        if "leakage" in self.plan.drop:
            gone |= dict.fromkeys(_leaking(splits, without_common(asked), self.plan.near), "leakage")
        if self.plan.suites:
            gone |= dict.fromkeys(_in_suites(asked, self.plan.suites, self.plan.near), "evaluation")
        if "contradictions" in self.plan.drop:
            gone |= dict.fromkeys(_contradicting([one.tobytes() for one in asked], answers), "contradiction")
        return gone

    def _note(self, split: str, number: int, row: Row, what: str, place: str = "") -> None:
        self.counts[what] += 1
        self.tell(RowChange(split=split, row=number, what=what, place=place, id=row.marks.id))


def cleaning_plan(redact: Iterable[str], drop: Iterable[str], near: float, suites: Iterable[str] = ()) -> CleaningPlan:
    """Makes a plan of what was typed. Raises ConfigError where a name is not known."""
    known = {*SETS, *_kinds()}
    for given, names in ((redact, known), (drop, DROPPED)):
        for name in given:
            if name not in names:
                raise ConfigError(f"'{name}' cannot be chosen here ({meant(name, names)}).")
    return CleaningPlan(redact=frozenset(redact), drop=frozenset(drop), near=near, suites=tuple(suites))


def _kinds() -> frozenset[str]:
    from patchbay.guards.rules.listing import listed

    return frozenset(rule.kind for rule in listed() if rule.set in SETS)


def _numbered(rows: Iterable[tuple[str, Row]]) -> Iterator[Placed]:
    counts = Counter[str]()
    for split, row in rows:
        counts[split] += 1
        yield split, counts[split], row


def _leaking(splits: list[str], asked: list[Any], near: float) -> Iterator[int]:
    """Yields the rows of train that ask nearly what one of another split asks."""
    index = NearIndex(near)
    for at, split in enumerate(splits):
        if split != "train":
            index.add(at, asked[at])
    for at, split in enumerate(splits):
        if split == "train" and index.nearest(asked[at]) is not None:
            yield at


def _in_suites(asked: list[Any], suites: Iterable[str], near: float) -> Iterator[int]:
    """Yields the rows that ask nearly what a case of an evaluation asks."""
    sets = without_common([*asked, *(shingles(text) for text in suites)])
    index = NearIndex(near)
    for at in range(len(asked), len(sets)):
        index.add(at, sets[at])
    return (at for at in range(len(asked)) if index.nearest(sets[at]) is not None)


def _contradicting(asked: list[bytes], answers: list[str]) -> Iterator[int]:
    """Yields every row whose question has several answers: nobody knows which is right."""
    said: dict[bytes, set[str]] = {}
    for question, answer in zip(asked, answers, strict=True):
        said.setdefault(question, set()).add(answer)
    return (at for at, question in enumerate(asked) if len(said[question]) > 1)
