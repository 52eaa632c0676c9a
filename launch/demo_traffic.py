"""The simulated callers of the demo: each asks a question whose answer is known, and votes down a wrong answer."""

import asyncio
import contextlib
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import httpx

from patchbay.tuning.demo.corpus import Example

_RETRY_S = 0.2


class Traffic:
    """The traffic of the callers to one model.

    `count`: the numbers of `right`, `wrong` and `failed` answers, by the revision that answered.
    """

    def __init__(self, url: str, examples: list[Example], model: str) -> None:
        self._client = httpx.AsyncClient(base_url=url, timeout=60)
        self._examples = itertools.cycle(examples)
        self._model = model
        self._callers: Iterator[int] = itertools.count()
        self.count: Counter[tuple[str, str]] = Counter()

    @asynccontextmanager
    async def running(self, callers: int) -> AsyncIterator["Traffic"]:
        """Runs so many callers at a time, as long as the block runs."""
        tasks = [asyncio.create_task(self._call()) for _ in range(callers)]
        try:
            yield self
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._client.aclose()

    async def _call(self) -> None:
        while True:
            example = next(self._examples)
            try:
                await self._ask(example)
            except httpx.HTTPError:
                self.count["nobody", "failed"] += 1
                await asyncio.sleep(_RETRY_S)

    async def _ask(self, example: Example) -> None:
        body = {
            "model": self._model,
            "user": f"caller-{next(self._callers)}",
            "messages": [{"role": turn.role, "content": turn.content} for turn in example.messages],
            "temperature": 0,
            "max_tokens": 16,
        }
        response = await self._client.post("/v1/chat/completions", json=body)
        revision = response.headers.get("x-patchbay-adapter", "nobody")
        if response.status_code != httpx.codes.OK:
            self.count[revision, "failed"] += 1
            return
        answer = response.json()
        if answer["choices"][0]["message"]["content"].strip() == example.answer:
            self.count[revision, "right"] += 1
            return
        self.count[revision, "wrong"] += 1
        with contextlib.suppress(httpx.HTTPError):
            await self._client.post("/v1/feedback", json={"completion_id": answer["id"], "vote": "down"})
