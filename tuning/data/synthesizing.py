"""The synthesis of rows by a teacher: new examples after the pattern of seeds, filtered, and never all of a data set.

Sources: Wang et al., "Self-Instruct", ACL 2023 (arXiv 2212.10560), for the pattern and the filter by similarity;
Shumailov et al., Nature 631 (2024), for why a share of people's rows must stay.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from patchbay.core.errors import ConfigError, DataError
from patchbay.guards.refusal import is_refusal
from patchbay.tuning.data.guarding import TextGuards
from patchbay.tuning.data.near import NearIndex, shingles, without_common
from patchbay.tuning.data.rows import ANSWERER, Message, Row, RowFault, row_of
from patchbay.tuning.data.texts import cut_reason

SYNTHETIC: Final = "synthetic"
# A teacher that gives so little that passes is asked no further.
_TRIES_A_ROW: Final = 5
_ORDER: Final = (
    "You write training examples. Below are some, one JSON object a line. Write one new example of the same kind, with "
    "other people, things, places and numbers, and in other words. Answer with one JSON object with the keys prompt "
    "and completion, and nothing else."
)
_OBJECT: Final = re.compile(r"\{.*\}", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class SynthesisPlan:
    """The order to make rows. `rows`: as many as pass; `max_share`: the most of all rows that may be synthetic, below
    1; `shots`: seeds that each request shows; `most_chars`: of an answer, by default twice the longest of the seeds;
    `near`: the similarity from which a row is a copy; `schema`: of answers, compiled; `pattern`: that answers match."""

    rows: int
    max_share: float = 0.5
    shots: int = 4
    most_chars: int | None = None
    near: float = 0.7
    seed: int = 0
    pattern: re.Pattern[str] | None = None
    schema: Any = None


@dataclass(slots=True)
class Synthesis:
    """Rows being made. `ask`: asks the teacher, with the messages and a seed; `guards`: a row with a secret or personal
    data is refused. `refused`: how many answers were not taken, by reason."""

    plan: SynthesisPlan
    seeds: Sequence[Row]
    ask: Callable[[Sequence[Message], int], str]
    guards: TextGuards | None = None
    refused: Counter[str] = field(default_factory=Counter)

    def run(self) -> Iterator[Row]:
        """Yields rows that pass. Raises ConfigError where there is nothing to learn the pattern from, DataError where
        too little of what the teacher says passes, UpstreamFailed."""
        wanted = min(self.plan.rows, most_synthetic(self.seeds, self.plan.max_share))
        pattern = [row for row in self.seeds if row.kind == "chat" and len(row.answers) == 1 and row.asked]
        if not pattern or wanted <= 0:
            raise ConfigError(
                "There are no seeds to write after." if not pattern else "The share of synthetic rows is reached.",
                hint="Give chat rows with one answer each, or more of people's rows.",
            )
        passed = 0
        judge = _Judge(self.plan, pattern, self.guards)
        for attempt in range(wanted * _TRIES_A_ROW):
            row = self._tried(attempt, pattern, judge)
            if row is not None:
                passed += 1
                yield row
            if passed == wanted:
                return
        if passed == 0:
            common = ", ".join(f"{reason} {count}" for reason, count in self.refused.most_common(4))
            raise DataError(f"Nothing that the teacher wrote passes: {common}.")

    def _tried(self, attempt: int, pattern: Sequence[Row], judge: "_Judge") -> Row | None:
        dice = Random(f"{self.plan.seed}:{attempt}")  # noqa: S311 - a sample, no secret
        shown = dice.sample(pattern, min(self.plan.shots, len(pattern)))
        said = self.ask(request_of(shown), self.plan.seed + attempt)
        try:
            row = written_row(said, shown[0])
        except RowFault:
            self.refused["format"] += 1
            return None
        reason = judge.reason(row)
        if reason is not None:
            self.refused[reason] += 1
            return None
        return row


def most_synthetic(rows: Sequence[Row], share: float) -> int:
    """Returns how many synthetic rows may be added, so that they are at most `share` of all. Raises ConfigError where
    the share is not below 1."""
    if not 0 < share < 1:
        raise ConfigError(
            f"A share of {share:g} cannot be: it is above 0 and below 1.", hint="Rows of people must stay."
        )
    made = sum(SYNTHETIC in row.marks.tags for row in rows)
    # The sum in floats may end just below a whole number.
    return max(0, int((len(rows) - made) * share / (1 - share) + 1e-9) - made)


def request_of(shown: Sequence[Row]) -> Sequence[Message]:
    """Returns what the teacher is asked, after these examples."""
    lines = [json.dumps({"prompt": row.asked, "completion": row.answers[-1]}, ensure_ascii=False) for row in shown]
    return [{"role": "system", "content": _ORDER}, {"role": "user", "content": "\n".join(lines)}]


def written_row(said: str, pattern: Row) -> Row:
    """Reads what the teacher wrote as a row with the system message of `pattern`. Raises RowFault."""
    found = _OBJECT.search(said)
    try:
        document = json.loads(found.group() if found else said)
    except ValueError as error:
        raise RowFault("it is no JSON.") from error
    if not isinstance(document, Mapping) or not all(document.get(name) for name in ("prompt", "completion")):
        raise RowFault("it has no prompt and completion.")
    answer = document["completion"]
    said_so = answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)
    system = [message for message in pattern.parts["messages"] if message["role"] == "system"]
    turns = [{"role": "user", "content": document["prompt"]}, {"role": ANSWERER, "content": said_so}]
    return row_of({"messages": [*system, *turns], "tags": [SYNTHETIC]})


class _Judge:
    """Judges rows that a teacher wrote. Those that pass are compared with those that come after."""

    def __init__(self, plan: SynthesisPlan, seeds: Sequence[Row], guards: TextGuards | None) -> None:
        self._plan = plan
        self._guards = guards
        self._most = plan.most_chars or 2 * max(len(row.answers[-1]) for row in seeds)
        self._index = NearIndex(plan.near)
        for at, found in enumerate(without_common([shingles(row.asked) for row in seeds])):
            self._index.add(at, found)
        self._next = len(seeds)

    def reason(self, row: Row) -> str | None:
        """Says why a row does not pass; None where it does, and then counts as one to compare with."""
        if (of_answer := self._answer_reason(row.answers[-1])) is not None:
            return of_answer
        if self._guards is not None and any(self._guards.look(place.text) for place in row.places()):
            return "personal data or secrets"
        found = shingles(row.asked)
        if self._index.nearest(found) is not None:
            return "copy"
        self._index.add(self._next, found)
        self._next += 1
        return None

    def _answer_reason(self, answer: str) -> str | None:
        plan = self._plan
        fails = {
            "length": len(answer) > self._most or cut_reason(answer) is not None,
            "refusal": is_refusal(answer),
            "pattern": plan.pattern is not None and not plan.pattern.fullmatch(answer),
            "schema": plan.schema is not None and not meets_schema(answer, plan.schema),
        }
        return next((reason for reason, is_so in fails.items() if is_so), None)


def meets_schema(answer: str, schema: Any) -> bool:
    """Says whether an answer is JSON that meets a compiled schema."""
    from patchbay.core.schema.budget import StepBudget

    try:
        return not schema.faults(json.loads(answer), StepBudget(100_000), 1)
    except ValueError:
        return False
