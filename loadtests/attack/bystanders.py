"""Bystanders: clients that ask the same, greedily, all the time, and must get the same to the byte as when alone."""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from patchbay.core.errors import PatchbayError

_ALONE = 3
_WAIT_S = 60.0
_PAUSE_S = 0.05
PATH = "/v1/chat/completions"


@dataclass
class Bystander:
    """A client that asks the same all the time, and compares each answer with its first.

    `alone`: its answer when nobody else asked; `answers`, `changed`, `failed`: counts since then; `last`: the last
    answer or error that was not as it should be; `asked`: set after each request.
    """

    model: str
    text: str
    max_tokens: int = 24
    alone: str = ""
    answers: int = 0
    changed: int = 0
    failed: int = 0
    last: str = ""
    asked: asyncio.Event = field(default_factory=asyncio.Event)

    async def learn(self, session: aiohttp.ClientSession, url: str) -> None:
        """Asks alone. Raises PatchbayError where it gets no answer, or different ones."""
        answers = {await self._ask(session, url) for _ in range(_ALONE)}
        if len(answers) != 1:
            raise PatchbayError(f"Alone, {self.model} does not answer the same each time: {sorted(answers)}.")
        (self.alone,) = answers

    async def run(self, session: aiohttp.ClientSession, url: str) -> None:
        """Asks until it is cancelled."""
        while True:
            try:
                self._note(await self._ask(session, url))
            except (PatchbayError, aiohttp.ClientError, TimeoutError, ValueError, LookupError) as error:
                self.failed += 1
                self.last = f"{type(error).__name__}: {error}"[:300]
            self.asked.set()
            await asyncio.sleep(_PAUSE_S)

    async def asks_again(self, times: int = 2) -> None:
        """Returns once it has asked so many times more."""
        for _ in range(times):
            self.asked.clear()
            await self.asked.wait()

    def _note(self, answer: str) -> None:
        self.answers += 1
        if answer != self.alone:
            self.changed += 1
            self.last = answer[:300]

    async def _ask(self, session: aiohttp.ClientSession, url: str) -> str:
        body = {
            "model": self.model,
            "messages": [{"role": "user", "content": self.text}],
            "max_tokens": self.max_tokens,
            "temperature": 0,
        }
        async with session.post(url + PATH, json=body, timeout=aiohttp.ClientTimeout(_WAIT_S)) as response:
            answer: dict[str, Any] = await response.json()
        if response.status != 200:
            raise PatchbayError(f"{response.status} {answer}"[:300])
        choices = [(choice["message"], choice["finish_reason"]) for choice in answer["choices"]]
        return json.dumps([choices, answer["usage"]], sort_keys=True)
