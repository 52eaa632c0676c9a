"""The streams that are kept going over many adapters, and their figures. For `loadtests.fairness`."""

import asyncio
import random
import time
from dataclasses import dataclass
from typing import Any

import aiohttp

# Seconds of a round that are not counted: the streams begin all at once.
_WARM_S = 8.0


@dataclass(frozen=True, slots=True)
class Load:
    """The load of one round: `streams` at a time, of `adapters` by Zipf(1), answers of `tokens` tokens, for
    `seconds`."""

    streams: int = 64
    adapters: int = 32
    tokens: int = 32
    seconds: float = 40


@dataclass(frozen=True, slots=True)
class Round:
    """The figures of one way in one round: seconds, and tokens a second."""

    throughput: float
    p50_s: float
    p99_s: float
    failed: int


@dataclass(frozen=True, slots=True)
class Took:
    """The figures of one tenant: answers a second, and the 95th percentile of what one took, in seconds."""

    answers: float
    p95_s: float


def zipf(count: int, length: int, seed: int) -> list[int]:
    """Draws `length` numbers from 0 to `count` - 1, the n-th with a weight of 1/n."""
    weights = [1 / place for place in range(1, count + 1)]
    return random.Random(seed).choices(range(count), weights, k=length)  # noqa: S311 - reproducible, no secret


async def drive(url: str, headers: dict[str, str], load: Load, seed: int) -> Round:
    """Keeps `load.streams` streams going at `url`, each followed by the next at once, and measures."""
    draws, first_s, tokens, failed = iter(zipf(load.adapters, 100_000, seed)), [], 0, 0
    began = time.perf_counter()
    counted, end = began + _WARM_S, began + _WARM_S + load.seconds

    async def stream(session: aiohttp.ClientSession) -> None:
        nonlocal tokens, failed
        while (asked := time.perf_counter()) < end:
            which, first = next(draws), None
            async with session.post("/v1/chat/completions", json=_body(which, load.tokens)) as answer:
                failed += answer.status != 200
                async for line in answer.content:
                    now = time.perf_counter()
                    if not line.startswith(b"data: {") or b'"content"' not in line:
                        continue
                    if first is None:
                        first = now
                        if asked >= counted and now < end:
                            first_s.append(now - asked)
                    tokens += counted <= now < end

    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(url, headers=headers, connector=connector) as session:
        await asyncio.gather(*(stream(session) for _ in range(load.streams)))
    first_s.sort()
    p50, p99 = first_s[len(first_s) // 2], first_s[int(len(first_s) * 0.99)]
    return Round(tokens / load.seconds, p50, p99, failed)


def _body(adapter: int, tokens: int) -> dict[str, Any]:
    messages = [{"role": "user", "content": f"Count the customers in Porto, please, for adapter {adapter}."}]
    sampling = {"max_tokens": tokens, "temperature": 0, "ignore_eos": True}
    return {"model": f"zipf-{adapter:02d}", "messages": messages, "stream": True, **sampling}


async def drive_tenants(url: str, streams: dict[str, int], load: Load) -> dict[str, Took]:
    """As many streams at a time for each key of `streams`; by key what they got.

    Answers are of many lengths, half to one and a half times `load.tokens`, as they are in use: were all of one, seats
    would come free in waves.
    """
    took = await asyncio.gather(*(_tenant(url, key, count, load) for key, count in streams.items()))
    return dict(zip(streams, took, strict=True))


async def _tenant(url: str, key: str, streams: int, load: Load) -> Took:
    began, answers = time.perf_counter(), []
    counted, end = began + _WARM_S, began + _WARM_S + load.seconds

    async def stream(session: aiohttp.ClientSession, place: int) -> None:
        lengths = random.Random()  # noqa: S311 - no secret
        while (asked := time.perf_counter()) < end:
            tokens = lengths.randint(load.tokens // 2, load.tokens * 3 // 2)
            async with session.post("/v1/chat/completions", json=_body(place % load.adapters, tokens)) as answer:
                answer.raise_for_status()
                await answer.read()
            if counted <= (now := time.perf_counter()) < end:
                answers.append(now - asked)

    connector, headers = aiohttp.TCPConnector(limit=0), {"authorization": f"Bearer {key}"}
    async with aiohttp.ClientSession(url, headers=headers, connector=connector) as session:
        await asyncio.gather(*(stream(session, place) for place in range(streams)))
    answers.sort()
    return Took(len(answers) / load.seconds, answers[int(len(answers) * 0.95)])
