"""The table of faults: what was broken, what callers got meanwhile, and what did not hold."""

import json
from dataclasses import asdict, dataclass, field

from rich.table import Table

from loadtests.faults.world import LIMIT, World
from loadtests.tables import for_page, for_terminal

COLUMNS = (
    "fault",
    "times",
    "requests",
    "answered",
    "answers without a right key",
    "adapters removed",
    "unredacted",
    "over the limit",
    "slowest end, s",
    "slowest return, s",
)


@dataclass(frozen=True, slots=True)
class Count:
    """The counts of a world up to a moment.

    `opened`: answers without a right key; `removed`: adapters that the replica was told to remove; `over`: answers
    beyond a tenant's limit; `ends`: how often routers were asked to end.
    """

    asked: int
    answered: int
    opened: int
    removed: int
    unredacted: int
    over: int
    ends: int

    @classmethod
    def of(cls, world: World) -> "Count":
        """As it is now."""
        seen = world.seen
        return cls(
            seen.asked,
            seen.got("right", "limited", "marked"),
            seen.got("wrong", "none"),
            len(world.replica.removed),
            world.replica.unredacted,
            seen.over(LIMIT),
            len(world.ends),
        )


@dataclass
class Row:
    """The results of one fault.

    `end_s`: the slowest end of a router that was asked to; `back_s`: the longest until every router answered again,
    after the fault.
    """

    times: int = 0
    asked: int = 0
    answered: int = 0
    opened: int = 0
    removed: int = 0
    unredacted: int = 0
    over: int = 0
    end_s: float = 0.0
    back_s: float = 0.0

    def note(self, before: Count, now: Count, back_s: float) -> None:
        """Adds what was counted between two moments, and how long it took until all answered again."""
        self.times += 1
        self.asked += now.asked - before.asked
        self.answered += now.answered - before.answered
        self.opened += now.opened - before.opened
        self.removed += now.removed - before.removed
        self.unredacted += now.unredacted - before.unredacted
        self.over += now.over - before.over
        self.back_s = max(self.back_s, back_s)

    @property
    def cells(self) -> tuple[object, ...]:
        """The row in the order of `COLUMNS`."""
        counts = (self.times, self.asked, self.answered, self.opened, self.removed, self.unredacted, self.over)
        return (*counts, f"{self.end_s:.1f}" if self.end_s else "", f"{self.back_s:.1f}")


@dataclass
class Tally:
    """The results of a run.

    `rows`: by fault; `skipped`: faults that this machine cannot have, and why; `violations`: what did not hold, in
    words; `answers`: those to the right key whose usage was compared with the registry; `excused`: how many of them may
    be missing.
    """

    seed: int = 0
    rows: dict[str, Row] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)
    answers: int = 0
    excused: int = 0
    seconds: float = 0.0

    def row(self, fault: str) -> Row:
        """The row of a fault, made where there is none yet."""
        return self.rows.setdefault(fault, Row())

    def table(self) -> Table:
        """For a terminal."""
        return for_terminal(self.summary, COLUMNS, self._cells)

    def markdown(self) -> str:
        """For a page of the documents."""
        return for_page(COLUMNS, self._cells, self.summary)

    def as_json(self) -> str:
        """For a program."""
        rows = {name: asdict(row) for name, row in sorted(self.rows.items())}
        books = {"answers": self.answers, "excused": self.excused}
        document = {"rows": rows, "violations": self.violations, "skipped": self.skipped, "books": books}
        return json.dumps(document | {"seconds": round(self.seconds), "seed": self.seed}, indent=2)

    @property
    def _cells(self) -> dict[str, tuple[object, ...]]:
        return {name: row.cells for name, row in sorted(self.rows.items())}

    @property
    def summary(self) -> str:
        """All of it in a line."""
        faults = sum(row.times for row in self.rows.values())
        skipped = f" Not tried: {', '.join(sorted(self.skipped))}." if self.skipped else ""
        return (
            f"{faults} faults in {self.seconds / 60:.0f} minutes with seed {self.seed}; usage and tallies of "
            f"{self.answers} answers compared with the registry, of which {self.excused} could be missing, since a "
            f"router was killed before it could write them; {len(self.violations)} violations.{skipped}"
        )
