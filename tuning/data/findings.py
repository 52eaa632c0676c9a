"""The findings of a check of a data set, with their places, and the facts of the whole."""

from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Literal

Level = Literal["error", "warning", "info"]
LEVELS: Final[tuple[Level, ...]] = ("error", "warning", "info")
# DataFindings of one check that are kept with their place; all are counted.
MOST_KEPT: Final = 1000
# What each check looks for, in the order of reports.
CHECKS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "schema": "records that are no rows, and calls of tools that do not fit",
        "empty": "answers without any text",
        "cut": "answers that look cut off",
        "secrets": "keys, tokens and passwords, by the guards' rules",
        "pii": "personal data, by the guards' rules",
        "guards": "what the configuration's own guards find",
        "characters": "characters that nobody sees, that stand for lost ones, or that were read in a wrong encoding",
        "template": "rows that the base's chat template does not take, or takes only in part",
        "length": "rows with more tokens than the base takes",
        "duplicates": "rows that are there more than once",
        "near-duplicates": "rows that are nearly the same",
        "contradictions": "one question with several answers",
        "leakage": "questions of train that are, nearly, in validation or test",
        "evaluation": "questions that are, nearly, in an evaluation suite",
        "balance": "answers of which there are few distinct ones, some of them rare",
        "language": "rows in another language than they say, or than nearly all others",
        "licence": "a licence, or the ground on which people's words are used, is not said",
        "splits": "parts that are missing",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFinding:
    """One finding. `row`: its number in `split`, from 1, or the line of a file; None for the whole data set;
    `excerpt`: the beginning of the text, with all that guards find taken out."""

    check: str
    level: Level
    message: str
    split: str = ""
    row: int | None = None
    id: str | None = None
    excerpt: str = ""

    @property
    def place(self) -> str:
        """The place, in words."""
        if self.row is None:
            return self.split or "all"
        return f"{self.split}:{self.row}" + (f" ({self.id})" if self.id else "")


@dataclass(slots=True)
class DataFindings:
    """The findings of a check, counted by check and level."""

    kept: list[DataFinding] = field(default_factory=list)
    counts: Counter[tuple[str, Level]] = field(default_factory=Counter)
    rows: dict[tuple[str, int], int] = field(default_factory=dict)

    def add(self, finding: DataFinding) -> None:
        """Adds a finding; of one check with more than `MOST_KEPT` the rest is only counted."""
        self.counts[finding.check, finding.level] += 1
        if self.of(finding.check) <= MOST_KEPT:
            self.kept.append(finding)
            if finding.row is not None:
                place = (finding.split, finding.row)
                self.rows[place] = self.rows.get(place, 0) + _WEIGHTS[finding.level]

    def of(self, check: str) -> int:
        """Returns how often a check found something."""
        return sum(self.counts[check, level] for level in LEVELS)

    def of_level(self, level: Level) -> int:
        """Returns how many findings have a level."""
        return sum(count for (_, at), count in self.counts.items() if at == level)

    def worst_rows(self, most: int = 20) -> list[tuple[tuple[str, int], list[DataFinding]]]:
        """Returns the rows with the most, and the worst, findings, and what was found in each."""
        chosen = sorted(self.rows, key=lambda place: (-self.rows[place], place))[:most]
        return [(place, [one for one in self.kept if (one.split, one.row) == place]) for place in chosen]

    def fails(self, level: Level | Literal["never"]) -> bool:
        """Says whether anything was found at `level` or worse."""
        if level == "never":
            return False
        return any(self.of_level(one) for one in LEVELS[: LEVELS.index(level) + 1])


_WEIGHTS: Final[Mapping[Level, int]] = MappingProxyType({"error": 100, "warning": 10, "info": 1})


@dataclass(slots=True, kw_only=True)
class DataFacts:
    """The figures of a data set. `tokens`: of each row, in the base's own tokens, empty without a base; `characters`:
    of each row; `answers`: how often each distinct answer is there, where there are few."""

    name: str = ""
    digest: str = ""
    kind: str = ""
    rows: Counter[str] = field(default_factory=Counter)
    characters: "array[int]" = field(default_factory=lambda: array("L"))
    tokens: "array[int]" = field(default_factory=lambda: array("L"))
    max_tokens: int | None = None
    languages: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    sources: Counter[str] = field(default_factory=Counter)
    found_kinds: Counter[str] = field(default_factory=Counter)
    near_rows: int = 0

    @property
    def all_rows(self) -> int:
        """The number of rows."""
        return sum(self.rows.values())


@dataclass(frozen=True, slots=True)
class CheckReport:
    """The result of a check."""

    facts: DataFacts
    findings: DataFindings

    def document(self) -> dict[str, Any]:
        """Returns the report as plain JSON."""
        facts, findings = self.facts, self.findings
        return {
            "name": facts.name,
            "digest": facts.digest,
            "kind": facts.kind,
            "rows": dict(facts.rows),
            "levels": {level: findings.of_level(level) for level in LEVELS},
            "checks": {check: findings.of(check) for check in CHECKS if findings.of(check)},
            "characters": quantiles(facts.characters),
            "tokens": quantiles(facts.tokens),
            "max_tokens": facts.max_tokens,
            "languages": dict(facts.languages.most_common()),
            "answers": dict(facts.answers.most_common(50)),
            "sources": dict(facts.sources.most_common(50)),
            "kinds": dict(facts.found_kinds.most_common()),
            "findings": [
                {"check": one.check, "level": one.level, "place": one.place, "message": one.message}
                for one in findings.kept
            ],
        }


def quantiles(values: Sequence[int]) -> dict[str, int]:
    """Returns the least, the median, the 95th percentile and the most; nothing of none."""
    if not values:
        return {}
    ordered = sorted(values)
    places = {"least": 0.0, "median": 0.5, "p95": 0.95, "most": 1.0}
    return {name: ordered[round(share * (len(ordered) - 1))] for name, share in places.items()}
