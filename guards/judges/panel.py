"""The judges of one request, and how far each has judged."""

import asyncio
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from patchbay.core.errors import GuardFailed
from patchbay.guards.judges.config import JudgeGuard
from patchbay.guards.judges.judge import JudgeFailed, JudgeVerdict, TextOrigin
from patchbay.guards.judges.judges import Judges
from patchbay.guards.verdict import Action, FoundSpan, Side

_FAILED = "JUDGE_FAILED"


@dataclass(frozen=True, slots=True)
class AskedJudge:
    """A judge as it is asked for one tenant. `action`: `flag` where it only looks."""

    name: str
    config: JudgeGuard
    action: Action
    dry_run: bool


class JudgePanel:
    """`asked`: who judges, by side; `note`: is told what was found in what, each once."""

    def __init__(
        self,
        asked: Mapping[Side, Sequence[AskedJudge]],
        judges: Judges,
        facts: TextOrigin,
        note: Callable[[Side, FoundSpan, str], None],
    ) -> None:
        self._asked = asked
        self._judges = judges
        self._facts = facts
        self._note = note
        self._done: dict[tuple[str, Hashable], int] = {}
        self._noted: set[tuple[Side, str, str]] = set()

    def judges(self, side: Side) -> bool:
        """Whether anybody judges that side."""
        return bool(self._asked[side])

    @property
    def every_chars(self) -> int:
        """How much more of an answer is judged at a time."""
        return min(one.config.every_chars for one in self._asked["output"])

    @property
    def lag(self) -> int:
        """How many characters of an answer may go out that were not judged."""
        return min(one.config.lag for one in self._asked["output"])

    async def prompt(self, text: str) -> Sequence[FoundSpan]:
        """What is wrong with a prompt."""
        return await self._all("input", {"": text})

    async def answer(self, texts: Mapping[Hashable, str]) -> Sequence[FoundSpan]:
        """What is wrong with an answer's texts, as far as they have grown since they were judged."""
        return await self._all("output", texts)

    async def _all(self, side: Side, texts: Mapping[Hashable, str]) -> Sequence[FoundSpan]:
        async with asyncio.TaskGroup() as tasks:
            asking = [
                ((one.name, (side, key)), tasks.create_task(self._one(side, one, key, text)))
                for one in self._asked[side]
                for key, text in texts.items()
            ]
        found: list[tuple[FoundSpan, str]] = []
        for place, task in asking:
            # Only now, without another await: a verdict that is cancelled on its way here has to be asked for again.
            self._done[place], hits = task.result()
            found += hits
        for span, text in found:
            if (side, span.guard, span.kind) not in self._noted:
                self._noted.add((side, span.guard, span.kind))
                self._note(side, span, text)
        return [span for span, _ in found]

    async def _one(
        self, side: Side, one: AskedJudge, key: Hashable, text: str
    ) -> tuple[int, Sequence[tuple[FoundSpan, str]]]:
        """How much of a text is judged now, and what is wrong with it."""
        hits: list[tuple[FoundSpan, str]] = []
        for start, end in windows(self._done.get((one.name, (side, key)), 0), len(text), one.config.most_chars):
            part = text[start:end]
            span = await self._verdict(side, one, part, start)
            if span is not None:
                hits.append((span, part))
                if span.action == "block":
                    break
        return len(text), hits

    async def _verdict(self, side: Side, one: AskedJudge, text: str, start: int) -> FoundSpan | None:
        end = start + len(text)
        try:
            async with asyncio.timeout(one.config.deadline_s), self._judges.using(one.config) as judge:
                verdict: JudgeVerdict = await (judge.prompt if side == "input" else judge.answer)(text, self._facts)
        except (JudgeFailed, TimeoutError):
            closed = one.config.on_error == "fail_closed" and not one.dry_run
            return FoundSpan(start, end, one.name, "judge", _FAILED, "block" if closed else "flag")
        return FoundSpan(start, end, one.name, "judge", verdict.kind, one.action) if verdict.flagged else None


def check_judged(span: FoundSpan, what: str) -> None:
    """Raises GuardFailed where `span` says that there was no verdict on `what`, which may not go on without one."""
    if span.kind == _FAILED and span.action == "block":
        raise GuardFailed(f"The guard '{span.guard}' could not judge {what}, so it was not let through.")


def windows(done: int, length: int, most: int) -> Iterator[tuple[int, int]]:
    """The parts of a text of `length` characters to judge, of which `done` were: up to `most` each, from its beginning
    while it is that short; each begins at least half of that before what is new in it. Pure."""
    while done < length:
        end = min(length, max(done + max(1, most // 2), most))
        yield max(0, end - most), end
        done = end
