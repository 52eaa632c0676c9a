"""The measurement of a real engine: `python -m loadtests.scale.measure --out loadtests/scale/fit.json`.

Starts Patchbay on the demo's base with more adapters than slots, as `loadtests.fairness` does, asks its replica, and
fits what `loadtests.scale.fit` needs. Some two minutes on two cores.
"""

import asyncio
import itertools
import json
import random
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import aiohttp
import httpx
import typer
from rich.console import Console
from rich.progress import track

from loadtests.scale.fit import SHIPPED, Fit, fit_steps
from loadtests.stacks import TOKEN, patchbay
from loadtests.streams import Load
from patchbay.core.errors import PatchbayError
from patchbay.core.exit_codes import fail

_SLOTS, _ADAPTERS, _TOKENS = 8, 12, 64
_LOADS = ((1, 1), (4, 4), (8, 1), (8, 8), (16, 4), (32, 1), (32, 8), (64, 1), (64, 4), (64, 8))
_WORDS = ("order", "lamp", "Berlin", "ticket", "heater", "Porto", "delta", "number", "customer", "friday")
_HEADERS = {"authorization": f"Bearer {TOKEN}"}


def run(
    out: Annotated[Path, typer.Option(help="Where the fit goes.")] = SHIPPED,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds of each load.")] = 1,
) -> None:
    """Measures steps, prompts and loads of adapters on the real engine, and writes the fit.

    Example: python -m loadtests.scale.measure --out build/fit.json
    """
    try:
        with (
            tempfile.TemporaryDirectory(prefix="patchbay-scale-") as made,
            patchbay(Path(made), Load(streams=64, adapters=_ADAPTERS), _SLOTS) as (_, replica),
        ):
            document = _measured(replica, rounds)
    except PatchbayError as error:
        raise typer.Exit(fail(error)) from error
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(document, indent=2) + "\n")
    Console().print_json(json.dumps(document["fit"]))


def _measured(url: str, rounds: int) -> dict[str, Any]:
    points = _steps(url, rounds)
    step_s, stream_s, adapter_s = fit_steps(points)
    with httpx.Client(base_url=url, headers=_HEADERS, timeout=60) as client:
        prompts = _prompts(client)
        slot_s = _slot_s(client)
        revisions = client.get("/internal/status").json()["revisions"]
    load_s = statistics.median(entry["load_seconds"] for entry in revisions if entry["load_seconds"])
    prompt_s = statistics.linear_regression(
        [entry["tokens"] for entry in prompts], [entry["seconds"] for entry in prompts]
    ).slope
    found = Fit(step_s, stream_s, adapter_s, max(prompt_s, 0.0), load_s, slot_s)
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "how": "python -m loadtests.scale.measure: the demo's base on a CPU, "
        f"{_SLOTS} slots, {_ADAPTERS} adapters, answers of {_TOKENS} tokens",
        "fit": {name: round(value, 7) for name, value in asdict(found).items()},
        "steps": points,
        "prompts": prompts,
    }


def _steps(url: str, rounds: int) -> list[dict[str, float]]:
    """Seconds a step under each load, the medians of all streams."""
    found: dict[tuple[int, int], list[float]] = {}
    for streams, adapters in track(_LOADS * rounds, description="steps", console=Console(stderr=True)):
        found.setdefault((streams, adapters), []).extend(asyncio.run(_streamed(url, streams, adapters)))
    return [
        {"streams": streams, "adapters": adapters, "seconds": round(statistics.median(took), 6)}
        for (streams, adapters), took in found.items()
    ]


async def _streamed(url: str, streams: int, adapters: int) -> Sequence[float]:
    """Seconds a token of each of so many streams at once."""
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(url, headers=_HEADERS, connector=connector) as session:
        return await asyncio.gather(*(_stream(session, place % adapters) for place in range(streams)))


async def _stream(session: aiohttp.ClientSession, adapter: int) -> float:
    async with session.post("/v1/chat/completions", json=_body(adapter, 8, _TOKENS) | {"stream": True}) as answer:
        answer.raise_for_status()
        moments = [time.perf_counter() async for line in answer.content if _is_token(line)]
    # The first tokens are those of a batch that is not whole yet, the last ones of one that is not any more.
    inner = moments[len(moments) // 4 : -len(moments) // 8]
    return (inner[-1] - inner[0]) / (len(inner) - 1)


def _is_token(line: bytes) -> bool:
    return line.startswith(b"data: {") and b'"content"' in line


def _prompts(client: httpx.Client) -> list[dict[str, float]]:
    """Seconds to an answer of one token, by the prompt's length."""
    found = []
    for words in (8, 32, 64, 96, 128):
        took, tokens = zip(*(_asked(client, 0, words) for _ in range(5)), strict=True)
        found.append({"tokens": statistics.median(tokens), "seconds": round(statistics.median(took), 6)})
    return found


def _slot_s(client: httpx.Client) -> float:
    """Measures how much longer an answer takes whose adapter is in host memory only: each one has been out of its slot
    since the others were asked for."""
    turns = itertools.cycle(range(_ADAPTERS))
    cold = [_asked(client, next(turns), 8)[0] for _ in range(2 * _ADAPTERS)]
    warm = [_asked(client, 0, 8)[0] for _ in range(_ADAPTERS)]
    return max(0.0, statistics.median(cold[_ADAPTERS:]) - statistics.median(warm[1:]))


def _asked(client: httpx.Client, adapter: int, words: int) -> tuple[float, int]:
    """Seconds that one token took, and the tokens of the prompt."""
    body = _body(adapter, words, 1)
    began = time.perf_counter()
    answer = client.post("/v1/chat/completions", json=body).raise_for_status()
    return time.perf_counter() - began, int(answer.json()["usage"]["prompt_tokens"])


def _body(adapter: int, words: int, tokens: int) -> dict[str, Any]:
    text = " ".join(random.choices(_WORDS, k=words))  # noqa: S311 - no secret; another prompt each time
    sampling = {"max_tokens": tokens, "temperature": 0, "ignore_eos": True}
    return {"model": f"zipf-{adapter:02d}", "messages": [{"role": "user", "content": text}], **sampling}


if __name__ == "__main__":
    typer.run(run)
