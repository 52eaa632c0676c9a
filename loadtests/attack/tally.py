"""The table of an attack's tries and their results: for people, for machines and for a page of the documents."""

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from rich.table import Table

from loadtests.attack.tries import Answer, Violation
from loadtests.tables import for_page, for_terminal

COLUMNS = ("tried", "2xx", "4xx", "closed or left", "5xx", "engine ends", "changed", "turns over 100 ms")


@dataclass
class Row:
    """The counts of one kind of tries.

    `good`, `refused`: by the answer's status; `without`: tries that got none; `at_fault`: those of which the server
    took the blame; `ended`: engines or replicas that ended; `changed`: answers of bystanders; `held`: turns of the
    router's event loop over 100 ms.
    """

    tried: int = 0
    good: int = 0
    refused: int = 0
    without: int = 0
    at_fault: int = 0
    ended: int = 0
    changed: int = 0
    held: int = 0

    def note(self, answer: Answer) -> None:
        """Counts one try by its answer."""
        self.tried += 1
        if answer.at_fault:
            self.at_fault += 1
        elif answer.status == 0:
            self.without += 1
        elif answer.status < 400:
            self.good += 1
        else:
            self.refused += 1

    @property
    def cells(self) -> tuple[int, ...]:
        """The row in the order of `COLUMNS`."""
        return (self.tried, self.good, self.refused, self.without, self.at_fault, self.ended, self.changed, self.held)


@dataclass
class Tally:
    """The results of an attack.

    `rows`: by kind; `violations`: what did not hold; `asked`, `unanswered`: how often bystanders asked, and got no
    answer.
    """

    rows: dict[str, Row] = field(default_factory=dict)
    violations: list[Violation] = field(default_factory=list)
    asked: int = 0
    unanswered: int = 0
    seconds: float = 0.0
    seed: int = 0

    def row(self, kind: str) -> Row:
        """The row of a kind, made where there is none yet."""
        return self.rows.setdefault(kind, Row())

    def table(self) -> Table:
        """For a terminal."""
        return for_terminal(self.summary, ("kind", *COLUMNS), self._cells)

    def as_json(self) -> str:
        """For a program."""
        violations = [
            {"what": violation.what, "by": violation.by.what, "detail": violation.detail}
            for violation in self.violations
        ]
        fields: dict[str, Any] = {"rows": {kind: asdict(row) for kind, row in self.rows.items()}}
        fields |= {"violations": violations, "bystanders": {"asked": self.asked, "unanswered": self.unanswered}}
        return json.dumps(fields | {"seconds": round(self.seconds), "seed": self.seed}, indent=2)

    def markdown(self) -> str:
        """For a page of the documents."""
        return for_page(("kind", *COLUMNS), self._cells, self.summary)

    @property
    def _cells(self) -> dict[str, tuple[int, ...]]:
        return {kind: row.cells for kind, row in self.rows.items()}

    @property
    def summary(self) -> str:
        """All of it in a line."""
        tried = sum(row.tried for row in self.rows.values())
        return (
            f"{tried} tries in {self.seconds / 60:.0f} minutes with seed {self.seed}, beside bystanders who asked "
            f"{self.asked} times; {len(self.violations)} violations."
        )
