"""The check of a data set: every row by itself, then all of them together.

Rows are read once, one at a time; of each only hashes are kept for what is looked for among all of them.
"""

from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Final

from patchbay.tuning.data.findings import CheckReport, DataFacts, DataFinding, DataFindings, Level
from patchbay.tuning.data.guarding import TextGuards
from patchbay.tuning.data.languages import LanguageMix
from patchbay.tuning.data.near import MOST_NEAR, SIMILAR, NearIndex, folded, leaders, shingles, without_common
from patchbay.tuning.data.row_checks import RowFinding, row_findings
from patchbay.tuning.data.rows import Row
from patchbay.tuning.data.texts import excerpt

if TYPE_CHECKING:
    from patchbay.tuning.data.near import Shingles
    from patchbay.tuning.data.token_checks import TokenCheck

# Up to as many distinct answers, each of several rows, are labels.
_MOST_LABELS: Final = 50
_ROWS_A_LABEL: Final = 4
# A label that is so much rarer than the commonest is learnt badly.
_RARE: Final = 10
Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberedRow:
    """A row with its place: its number in `split`, from 1."""

    split: str
    number: int
    row: Row


@dataclass(frozen=True, slots=True, kw_only=True)
class DataChecks:
    """The things that are looked for. `tokens`: by a base, None without one; `suites`: what evaluations ask, by the
    suite's name; `near`: the similarity from which texts are nearly the same, 0 to 1; `licence`, `consent`: as the data
    set says."""

    guards: TextGuards
    tokens: "TokenCheck | None" = None
    suites: Mapping[str, Sequence[str]] = field(default_factory=dict)
    near: float = SIMILAR
    licence: str | None = None
    consent: str | None = None


@dataclass(slots=True)
class _Kept:
    """The hashes that are kept of all rows. `asked`, `whole`: shingles of what was asked, and of all texts;
    `questions`: rows by the hash of what was asked, folded, with the hash of the answer."""

    splits: list[str] = field(default_factory=list)
    split_of: "array[int]" = field(default_factory=lambda: array("b"))
    numbers: "array[int]" = field(default_factory=lambda: array("q"))
    ids: list[str | None] = field(default_factory=list)
    digests: "array[int]" = field(default_factory=lambda: array("Q"))
    asked: "list[Shingles]" = field(default_factory=list)
    whole: "list[Shingles]" = field(default_factory=list)
    questions: dict[bytes, dict[bytes, int]] = field(default_factory=lambda: defaultdict(dict))
    answers: Counter[str] | None = field(default_factory=Counter)

    def __len__(self) -> int:
        return len(self.numbers)

    def add_place(self, one: "NumberedRow") -> None:
        """Notes where a row stands; its id, too, of the first ones."""
        if one.split not in self.splits:
            self.splits.append(one.split)
        self.split_of.append(self.splits.index(one.split))
        self.numbers.append(one.number)
        if len(self.ids) < MOST_NEAR:
            self.ids.append(one.row.marks.id)

    def place(self, at: int) -> tuple[str, int, str | None]:
        """Returns the split, number and id of a row, by its number among all."""
        return self.splits[self.split_of[at]], self.numbers[at], self.ids[at] if at < len(self.ids) else None


class DataCheck:
    """One check of one data set."""

    def __init__(self, checks: DataChecks) -> None:
        self._checks = checks
        self._facts = DataFacts(max_tokens=checks.tokens.most if checks.tokens else None)
        self._findings = DataFindings()
        self._kept = _Kept()
        self._languages = LanguageMix()

    def run(self, rows: Iterable[NumberedRow], progress: Progress = lambda count: None) -> CheckReport:
        """Looks at all rows. `progress`: called with numbers of rows that are done. Raises GuardFailed."""
        for count, one in enumerate(rows, 1):
            self._take(one)
            if count % 50 == 0:
                progress(50)
        self._finish()
        return CheckReport(self._facts, self._findings)

    def reject(self, split: str, number: int, reason: str) -> None:
        """Notes a record that is no row."""
        self._findings.add(DataFinding(check="schema", level="error", message=reason, split=split, row=number))

    def _take(self, one: NumberedRow) -> None:
        row, facts = one.row, self._facts
        facts.kind = row.kind
        facts.rows[one.split] += 1
        facts.characters.append(sum(len(place.text) for place in row.places()))
        if row.marks.source:
            facts.sources[row.marks.source] += 1
        found = list(row_findings(row, self._checks.guards))
        if self._checks.tokens is not None:
            count, more = self._checks.tokens.findings(row)
            facts.tokens.append(count)
            found += more
        self._languages.add(row, len(self._kept))
        self._note(one, found)
        self._keep(one)

    def _note(self, one: NumberedRow, found: Sequence[RowFinding]) -> None:
        shown = excerpt(self._checks.guards.masked(_text_of(one.row)), 200) if found else ""
        for each in found:
            self._findings.add(
                DataFinding(
                    check=each.check,
                    level=each.level,
                    message=each.message,
                    split=one.split,
                    row=one.number,
                    id=one.row.marks.id,
                    excerpt=shown,
                )
            )
            if each.kind is not None:
                self._facts.found_kinds[each.kind] += 1

    def _keep(self, one: NumberedRow) -> None:
        kept, row = self._kept, one.row
        kept.add_place(one)
        kept.digests.append(int(row.digest[:16], 16))
        answer = "\n".join(row.answers)
        if len(kept.asked) < MOST_NEAR:
            kept.asked.append(shingles(row.asked))
            kept.whole.append(shingles(_text_of(row)))
            if row.kind == "chat":
                kept.questions[_hash(folded(row.asked))].setdefault(_hash(answer.strip()), len(kept) - 1)
        if kept.answers is not None:
            kept.answers[answer.strip()] += 1
            # Answers that are all different are no labels, and are not kept.
            if len(kept.answers) > max(_MOST_LABELS, len(kept) // _ROWS_A_LABEL) and len(kept.answers) > 500:
                kept.answers = None

    def _finish(self) -> None:
        self._facts.near_rows = len(self._kept.asked)
        self._duplicates()
        self._contradictions()
        self._leakage()
        self._suites()
        self._balance()
        self._facts.languages = self._languages.counts()
        for at, message in self._languages.odd():
            self._add("language", "info", message, at)
        self._whole()

    def _add(self, check: str, level: Level, message: str, at: int) -> None:
        split, number, name = self._kept.place(at)
        self._findings.add(DataFinding(check=check, level=level, message=message, split=split, row=number, id=name))

    def _place(self, at: int) -> str:
        split, number, _ = self._kept.place(at)
        return f"{split}:{number}"

    def _duplicates(self) -> None:
        doubled = dict(_repeated(self._kept.digests))
        for at in sorted(doubled):
            self._add("duplicates", "warning", f"it is the same as {self._place(doubled[at])}", at)
        for at, leader in enumerate(leaders(without_common(self._kept.whole), self._checks.near)):
            if leader != at and at not in doubled:
                self._add("near-duplicates", "warning", f"it is nearly the same as {self._place(leader)}", at)

    def _contradictions(self) -> None:
        for answers in self._kept.questions.values():
            first, *others = answers.values()
            for at in others:
                self._add("contradictions", "warning", f"it answers what {self._place(first)} is asked otherwise", at)

    def _leakage(self) -> None:
        sets = without_common(self._kept.asked)
        held = [at for at in range(len(sets)) if self._kept.place(at)[0] != "train"]
        if not held or len(held) == len(sets):
            return
        index = self._index(held, sets)
        for at, one in enumerate(sets):
            if self._kept.place(at)[0] == "train" and (near := index.nearest(one)) is not None:
                self._add("leakage", "error", f"{_like(near[1])} {self._place(near[0])}", at)

    def _index(self, numbers: Iterable[int], sets: "Sequence[Shingles]") -> NearIndex:
        index = NearIndex(self._checks.near)
        for at in numbers:
            index.add(at, sets[at])
        return index

    def _suites(self) -> None:
        for name, texts in self._checks.suites.items():
            asked = self._kept.asked
            sets = without_common([*asked, *(shingles(text) for text in texts)])
            index = self._index(range(len(asked), len(sets)), sets)
            for at, one in enumerate(sets[: len(asked)]):
                if (near := index.nearest(one)) is not None:
                    message = f"{_like(near[1])} case {near[0] - len(asked) + 1} of {name}"
                    self._add("evaluation", "error", message, at)

    def _balance(self) -> None:
        answers = self._kept.answers
        rows = len(self._kept)
        if not answers or len(answers) > _MOST_LABELS or rows < _ROWS_A_LABEL * len(answers):
            return
        self._facts.answers = Counter({excerpt(self._checks.guards.masked(text), 60): n for text, n in answers.items()})
        [(_, most), *_] = answers.most_common(1)
        for text, count in answers.items():
            if len(answers) == 1 or count * _RARE < most:
                shown = excerpt(self._checks.guards.masked(text), 60)
                why = f"every answer is '{shown}'" if len(answers) == 1 else f"'{shown}' is {count} of {rows} answers"
                self._findings.add(DataFinding(check="balance", level="warning", message=why))

    def _whole(self) -> None:
        for name in ("licence", "consent"):
            if getattr(self._checks, name) is None:
                self._findings.add(DataFinding(check="licence", level="warning", message=f"no {name} is said"))
        if self._facts.all_rows and not self._facts.rows["validation"]:
            message = "there is no validation split, so nothing tells when training should end"
            self._findings.add(DataFinding(check="splits", level="info", message=message))


def _repeated(digests: "array[int]") -> Iterator[tuple[int, int]]:
    """Yields the number of each row that was there before, with that of the first one like it."""
    import numpy

    if not len(digests):
        return iter(())
    found = numpy.frombuffer(digests, dtype=numpy.uint64)
    order = numpy.argsort(found, kind="stable")
    starts = numpy.flatnonzero(numpy.concatenate(([True], found[order][1:] != found[order][:-1])))
    firsts = numpy.repeat(order[starts], numpy.diff(numpy.append(starts, len(order))))
    again = numpy.flatnonzero(firsts != order)
    return ((int(order[at]), int(firsts[at])) for at in again)


def _text_of(row: Row) -> str:
    return "\n".join(place.text for place in row.places() if place.role not in ("system", "developer"))


def _hash(text: str) -> bytes:
    return blake2b(text.encode(), digest_size=12).digest()


def _like(similar: float) -> str:
    return "it asks the same as" if similar >= 1 else f"it asks nearly ({similar:.2f}) the same as"


def suite_texts(path: Path) -> list[str]:
    """Reads what the cases of an evaluation suite ask: a YAML list of cases (or a mapping with one, under `cases` or
    `items`), each with `input`, `prompt` or `messages`; or a file of rows. Raises ConfigError, DataError."""
    from patchbay.core.errors import ConfigError
    from patchbay.core.settings import load_yaml
    from patchbay.tuning.data.importing import rows_of_file

    if path.suffix not in (".yaml", ".yml"):
        return [row.asked for row in rows_of_file(path)]
    loaded = load_yaml(path)
    cases = loaded.get("cases") or loaded.get("items")
    if not isinstance(cases, list):
        raise ConfigError(f"{path} has no list of cases.", hint="Write them under 'cases', each with a prompt.")
    return [text for case in cases if (text := _case_text(case))]


def _case_text(case: object) -> str:
    if not isinstance(case, dict):
        return ""
    asked = case.get("messages") or case.get("input") or case.get("prompt") or ""
    if isinstance(asked, list):
        users = [turn for turn in asked if isinstance(turn, dict) and turn.get("role") == "user"]
        return "\n".join(str(turn.get("content") or "") for turn in users)
    return str(asked)
