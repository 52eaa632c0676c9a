"""The score of a model on held-out tickets: the share of answers that are, as JSON, exactly the right ones."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from patchbay.tuning.demo.corpus import Example, Message
from patchbay.tuning.demo.score import ScoredEndpoint, first_of

_AT_A_TIME = 8
# A base that was told nothing writes on and on, which takes minutes on a busy machine.
_TIMEOUT_S = 900


@dataclass(frozen=True, slots=True)
class ScoredRows:
    """The rows of a score. `shown`: examples for a prompt; `asked`: those that are held out."""

    shown: tuple[Example, ...]
    asked: tuple[Example, ...]

    def share(self, url: str, model: str, shots: int) -> float:
        """Asks `model` at `url` for each held-out row, and returns the share of right answers, 0 to 1. `shots`: the
        number of examples that are shown first. Raises `EndpointError` where a request gets no usable answer."""
        return asyncio.run(self._share(url, model, shots))

    async def _share(self, url: str, model: str, shots: int) -> float:
        async with httpx.AsyncClient(base_url=url, timeout=_TIMEOUT_S) as client:
            endpoint = ScoredEndpoint(client, _AT_A_TIME)
            try:
                async with asyncio.TaskGroup() as group:
                    asked = [group.create_task(endpoint.answer(model, self._after(shots, one))) for one in self.asked]
            except BaseExceptionGroup as errors:
                raise first_of(errors) from None
        pairs = zip(asked, self.asked, strict=True)
        return sum(is_right(task.result(), example.answer) for task, example in pairs) / len(self.asked)

    def _after(self, shots: int, example: Example) -> Example:
        """Puts examples before a row: after its system message, each as a question and its answer."""
        turns = [
            turn
            for shown in self.shown[:shots]
            for turn in (*_spoken(shown.messages), Message("assistant", shown.answer))
        ]
        system = [message for message in example.messages if message.role == "system"]
        return Example(example.task, (*system, *turns, *_spoken(example.messages)), example.answer)


def is_right(answer: str, wanted: str) -> bool:
    """Says whether `answer` is JSON, and the same value as `wanted`, whatever the order of its keys and its spaces."""
    try:
        return bool(json.loads(answer) == json.loads(wanted))
    except ValueError:
        return False


def read_rows(train: Path, test: Path, count: int) -> ScoredRows:
    """Reads rows of chats, the last message of each being the answer. `count`: the most that are asked."""
    return ScoredRows(_examples(train, 3), _examples(test, count))


def _examples(path: Path, count: int) -> tuple[Example, ...]:
    with path.open(encoding="utf-8") as lines:
        return tuple(_example(json.loads(line)["messages"]) for line, _ in zip(lines, range(count), strict=False))


def _example(messages: Sequence[dict[str, Any]]) -> Example:
    turns = tuple(Message(str(turn["role"]), str(turn["content"])) for turn in messages)
    return Example("tickets", turns[:-1], turns[-1].content)


def _spoken(messages: Sequence[Message]) -> list[Message]:
    return [message for message in messages if message.role != "system"]
