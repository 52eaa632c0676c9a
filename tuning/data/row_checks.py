"""The checks of one row by itself: its answers, characters, calls of tools, and what guards find in it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from patchbay.tuning.data.findings import Level
from patchbay.tuning.data.guarding import SETS, TextGuards
from patchbay.tuning.data.rows import ANSWERER, Row
from patchbay.tuning.data.texts import cut_reason, oddities


@dataclass(frozen=True, slots=True)
class RowFinding:
    """A finding in one row. `kind`: of what guards found, such as `EMAIL`."""

    check: str
    level: Level
    message: str
    kind: str | None = None


_LEVELS: Final[dict[str, Level]] = {"secrets": "error", "pii": "error"}


def row_findings(row: Row, guards: TextGuards) -> Iterator[RowFinding]:
    """Yields what is wrong with a row by itself. Raises GuardFailed where a finder of entities does not answer."""
    yield from answer_findings(row)
    yield from character_findings(row)
    yield from tool_findings(row)
    yield from guard_findings(row, guards)


def answer_findings(row: Row) -> Iterator[RowFinding]:
    """Yields answers that are empty, or look cut off."""
    for answer in row.answers:
        if not answer.strip():
            yield RowFinding("empty", "error", "an answer is empty")
        elif (reason := cut_reason(answer)) is not None:
            yield RowFinding("cut", "warning", reason)


def character_findings(row: Row) -> Iterator[RowFinding]:
    """Yields odd characters, each kind once a text."""
    for place in row.places():
        for name in oddities(place.text):
            yield RowFinding("characters", "warning", f"{place}: {name}")


def tool_findings(row: Row) -> Iterator[RowFinding]:
    """Yields calls of tools that the row does not offer, and results that answer no call."""
    offered = {str(tool.get("function", tool).get("name")) for tool in row.tools}
    called: set[str] = set()
    for turns in row.parts.values():
        for message in turns:
            for call in message.get("tool_calls", ()) if message["role"] == ANSWERER else ():
                called.add(str(call.get("id")))
                name = call["function"]["name"]
                if offered and name not in offered:
                    yield RowFinding("schema", "error", f"it calls '{name}', which its tools do not have")
            answered = message.get("tool_call_id")
            if answered is not None and answered not in called:
                yield RowFinding("schema", "warning", "a tool's result answers no call before it")


def guard_findings(row: Row, guards: TextGuards) -> Iterator[RowFinding]:
    """Yields what guards find, each kind once a text."""
    for place in row.places():
        seen = set()
        for span in guards.look(place.text):
            check = span.guard if span.guard in SETS else "guards"
            if (check, span.kind) not in seen:
                seen.add((check, span.kind))
                yield RowFinding(check, _LEVELS.get(check, "warning"), f"{place}: {span.kind}", span.kind)
