"""The requests to one running stack that ratios are made of."""

import asyncio
import itertools
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from patchbay.core.errors import PatchbayError

# Seconds of each measurement that are not counted: its streams begin all at once, and its adapters may have to come.
_WARM_S = 1.0
_TIMEOUT = aiohttp.ClientTimeout(total=60)


@dataclass(frozen=True, slots=True)
class Place:
    """The address to ask at, and the headers to ask with."""

    url: str
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Load:
    """The load of one measurement: `streams` at a time, answers of `tokens` tokens, counted for `seconds`."""

    streams: int = 16
    tokens: int = 32
    seconds: float = 3.0


async def tokens_per_s(place: Place, models: Sequence[str], weights: Sequence[float], load: Load) -> float:
    """Tokens a second while `load.streams` streams are kept going, their models drawn by `weights`.

    By answers, whose tokens are known, and not by chunks, of which guards make fewer. One that is only partly within
    the time that counts has that part of its tokens counted. Raises PatchbayError where a request fails.
    """
    rng, tokens = random.Random(f"{models}"), 0.0  # noqa: S311 - reproducible, no secret
    counted = time.perf_counter() + _WARM_S
    end = counted + load.seconds

    async def keep_asking(session: aiohttp.ClientSession) -> None:
        nonlocal tokens
        while time.perf_counter() < end:
            began = time.perf_counter()
            await token_times(session, rng.choices(models, weights)[0], load.tokens)
            tokens += load.tokens * overlap((began, time.perf_counter()), (counted, end))

    async with _session(place) as session:
        await asyncio.gather(*(keep_asking(session) for _ in range(load.streams)))
    return tokens / load.seconds


def overlap(span: tuple[float, float], within: tuple[float, float]) -> float:
    """Computes the share of `span` that is `within` another, 0 to 1."""
    shared = min(span[1], within[1]) - max(span[0], within[0])
    return max(0.0, shared) / (span[1] - span[0])


async def first_token_s(place: Place, model: str) -> float:
    """Seconds to the first token of one stream, with nothing else going on."""
    async with _session(place) as session:
        began = time.perf_counter()
        return (await token_times(session, model, 2))[0] - began


async def worst_gap_s(place: Place, model: str, tokens: int, meanwhile: Callable[[], Awaitable[Any]]) -> float:
    """The longest that any of four streams of `tokens` tokens waits for its next token, in seconds, while `meanwhile`
    happens, which begins when all four have begun."""
    begun = asyncio.Semaphore(0)
    async with _session(place) as session:
        streams = [asyncio.create_task(token_times(session, model, tokens, begun.release)) for _ in range(4)]
        for _ in streams:
            await begun.acquire()
        since = time.perf_counter()
        await meanwhile()
        gaps = [
            after - before
            for times in await asyncio.gather(*streams)
            for before, after in itertools.pairwise(times)
            if after >= since
        ]
    if not gaps:
        raise PatchbayError("The streams ended before anything could happen beside them: give them more tokens.")
    return max(gaps)


async def token_times(
    session: aiohttp.ClientSession, model: str, tokens: int, begun: Callable[[], None] = lambda: None
) -> list[float]:
    """Reads a stream of exactly so many tokens and returns when each chunk came, by the performance counter.

    `begun`: told of the first. Raises PatchbayError where it fails.
    """
    messages = [{"role": "user", "content": "Count the customers in Porto, please."}]
    sampling = {"max_tokens": tokens, "temperature": 0, "ignore_eos": True}
    body = {"model": model, "messages": messages, "stream": True, **sampling}
    times: list[float] = []
    async with session.post("/v1/chat/completions", json=body) as answer:
        if answer.status != 200:
            raise PatchbayError(f"{model}: {answer.status} {(await answer.text())[:300]}")
        async for line in answer.content:
            if line.startswith(b"data: {") and b'"content"' in line:
                times.append(time.perf_counter())
                if len(times) == 1:
                    begun()
    if not times:
        raise PatchbayError(f"{model} answered nothing.")
    return times


def _session(place: Place) -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(limit=0)
    return aiohttp.ClientSession(place.url, headers=place.headers, connector=connector, timeout=_TIMEOUT)
