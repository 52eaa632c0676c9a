"""Judge panel: the judges of one request, and how far each has judged its texts."""

import asyncio
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from patchbay.core.errors import GuardFailed
from patchbay.guards.judges.config import JudgeGuard
from patchbay.guards.judges.judge import JudgeFailed, JudgeVerdict, TextOrigin
from patchbay.guards.judges.judges import Judges
from patchbay.guards.verdict import Action, FoundSpan, Side

_FAILED = "JUDGE_FAILED"


@dataclass(frozen=True, slots=True)
class AskedJudge:
    """A judge with one tenant's overrides applied. `action`: always `flag` in a dry run."""

    name: str
    config: JudgeGuard
    action: Action
    dry_run: bool


class JudgePanel:
    """Asks the judges of one request.

    `asked`: the judges by side; `judges`: lends them; `facts`: the origin of the texts; `note`: is called with each
    finding's side, span and text, once for each guard and kind.
    """

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
        # The characters that were judged, by judge, side and text.
        self._judged: dict[tuple[str, Hashable], int] = {}
        self._noted: set[tuple[Side, str, str]] = set()

    def tell_documents(self, documents: tuple[str, ...]) -> None:
        """Tells judges the texts of the documents that came with the request."""
        self._facts = replace(self._facts, documents=documents)

    def judges(self, side: Side) -> bool:
        """Whether any judge looks at `side`."""
        return bool(self._asked[side])

    @property
    def every_chars(self) -> int:
        """The growth of an answer, in characters, after which it is judged again."""
        return min(asked.config.every_chars for asked in self._asked["output"])

    @property
    def lag(self) -> int:
        """The number of characters of an answer that may be released before they are judged."""
        return min(asked.config.lag for asked in self._asked["output"])

    async def prompt(self, text: str) -> Sequence[FoundSpan]:
        """Has a prompt judged, and returns what judges flag in it."""
        return await self._all("input", {"": text})

    async def answer(self, texts: Mapping[Hashable, str]) -> Sequence[FoundSpan]:
        """Has the new parts of an answer's texts judged, and returns what judges flag in them."""
        return await self._all("output", texts)

    async def _all(self, side: Side, texts: Mapping[Hashable, str]) -> Sequence[FoundSpan]:
        async with asyncio.TaskGroup() as tasks:
            asking = [
                ((asked.name, (side, key)), tasks.create_task(self._judge_text(side, asked, key, text)))
                for asked in self._asked[side]
                for key, text in texts.items()
            ]
        flagged: list[tuple[FoundSpan, str]] = []
        for progress_key, task in asking:
            # Noted only here, with no await in between: a verdict that is cancelled on its way has to be asked for
            # again.
            self._judged[progress_key], hits = task.result()
            flagged += hits
        for span, text in flagged:
            if (side, span.guard, span.kind) not in self._noted:
                self._noted.add((side, span.guard, span.kind))
                self._note(side, span, text)
        return [span for span, _ in flagged]

    async def _judge_text(
        self, side: Side, asked: AskedJudge, key: Hashable, text: str
    ) -> tuple[int, Sequence[tuple[FoundSpan, str]]]:
        """Has the new parts of one text judged. Returns the number of characters judged by now, and what was
        flagged."""
        hits: list[tuple[FoundSpan, str]] = []
        for start, end in windows(self._judged.get((asked.name, (side, key)), 0), len(text), asked.config.most_chars):
            part = text[start:end]
            span = await self._verdict(side, asked, part, start)
            if span is not None:
                hits.append((span, part))
                if span.action == "block":
                    break
        return len(text), hits

    async def _verdict(self, side: Side, asked: AskedJudge, text: str, start: int) -> FoundSpan | None:
        end = start + len(text)
        try:
            async with asyncio.timeout(asked.config.deadline_s), self._judges.using(asked.config) as judge:
                verdict: JudgeVerdict = await (judge.prompt if side == "input" else judge.answer)(text, self._facts)
        except (JudgeFailed, TimeoutError):
            closed = asked.config.on_error == "fail_closed" and not asked.dry_run
            return FoundSpan(
                start=start, end=end, guard=asked.name, rule="judge", kind=_FAILED, action="block" if closed else "flag"
            )
        return (
            FoundSpan(start=start, end=end, guard=asked.name, rule="judge", kind=verdict.kind, action=asked.action)
            if verdict.flagged
            else None
        )


def check_judged(span: FoundSpan, what: str) -> None:
    """Raises GuardFailed where `span` stands for a missing verdict on `what`, which may not go on without one."""
    if span.kind == _FAILED and span.action == "block":
        raise GuardFailed(f"The guard '{span.guard}' could not judge {what}, so it was not let through.")


def windows(done: int, length: int, most: int) -> Iterator[tuple[int, int]]:
    """Yields the parts of a text that are to be judged, by start and end. Pure.

    `done`: the characters that were judged; `length`: the text's; `most`: the longest part. A text that is no longer
    than `most` is one part, from its beginning. In a longer one, each part begins half of `most` or more before what is
    new in it, so that what lies across an edge is seen whole.
    """
    while done < length:
        end = min(length, max(done + max(1, most // 2), most))
        yield max(0, end - most), end
        done = end
