"""The chaos test, which kills replicas under streams, again and again: `python -m loadtests.chaos --help`.

All streams are greedy and run three times: twice undisturbed, which shows how often two runs agree at all, and once
while replicas are killed. A stream that is carried on must be whole and say the same.
"""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import httpx
import psutil
import typer
from rich.console import Console
from rich.table import Table

from loadtests.loopback import check_loopback
from patchbay.core.admin_token import admin_headers
from patchbay.core.errors import PatchbayError
from patchbay.core.exit_codes import fail
from patchbay.tuning.demo.corpus import task_examples
from patchbay.tuning.demo.recipe import SHIPPED_SEED

_TASKS = ("sql", "json", "label", "style")
_BASE = "demo-base"
_TIMEOUT_S = 600


@dataclass(frozen=True, slots=True)
class Prompt:
    """The request of one stream. `tokens`: at most, and exactly where `to_the_end`."""

    model: str
    text: str
    tokens: int
    to_the_end: bool


@dataclass(frozen=True, slots=True)
class Told:
    """The text that a client got of one stream. `fault`: why it is not whole, None where it is."""

    text: str
    completion_tokens: int
    finish: str
    fault: str | None


@dataclass(frozen=True, slots=True)
class Report:
    """The result of a chaos test.

    `agree` and `agree_undisturbed`: the share of streams that said the same, and used as many tokens, as in the first
    run; `carried`: streams that another replica continued.
    """

    streams: int
    seconds: float
    kills: int
    carried: int
    failed: int
    agree_undisturbed: float
    agree: float
    examples: tuple[str, ...]


def prompts(count: int, tokens: int) -> list[Prompt]:
    """Makes `count` requests to all adapters of the demo and its base in turn, half of them of exactly `tokens`
    tokens."""
    texts = {task: task_examples(task, SHIPPED_SEED, count, held_out=True) for task in _TASKS}
    made: list[Prompt] = []
    for number in range(count):
        task = _TASKS[number % len(_TASKS)]
        model = _BASE if number % 5 == 4 else task
        made.append(Prompt(model, texts[task][number].messages[0].content, tokens, number % 2 == 0))
    return made


async def stream(client: httpx.AsyncClient, prompt: Prompt) -> Told:
    """One stream, to its end."""
    body = {
        "model": prompt.model,
        "messages": [{"role": "user", "content": prompt.text}],
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 0,
        "max_tokens": prompt.tokens,
        "ignore_eos": prompt.to_the_end,
    }
    lines: list[str] = []
    try:
        async with client.stream("POST", "/v1/chat/completions", json=body) as answer:
            if answer.status_code != 200:
                return Told("", 0, "", f"{answer.status_code} {(await answer.aread())[:200]!r}")
            lines = [line[6:] async for line in answer.aiter_lines() if line.startswith("data: ")]
    except httpx.HTTPError as error:
        return Told("", 0, "", f"{type(error).__name__} {error}")
    return judge(lines)


def judge(lines: Sequence[str]) -> Told:
    """Judges the data of a stream's events: their text, and whether they are a whole answer: one finish reason, then
    the usage, then `[DONE]`, in one answer's name.

    Pure.
    """
    events: list[dict[str, Any]] = [json.loads(line) for line in lines if line != "[DONE]"]
    choices = [event["choices"][0] for event in events if event.get("choices")]
    text = "".join(choice["delta"].get("content") or "" for choice in choices)
    finishes = [choice["finish_reason"] for choice in choices if choice.get("finish_reason")]
    used = (events[-1].get("usage") or {}).get("completion_tokens", 0) if events else 0
    faults = {
        "an error: " + str(next((event["error"] for event in events if "error" in event), "")): any(
            "error" in event for event in events
        ),
        "no [DONE] at its end": not lines or lines[-1] != "[DONE]" or lines.count("[DONE]") != 1,
        f"finish reasons {finishes}": len(finishes) != 1,
        "no usage": not used,
        "several ids": len({event.get("id") for event in events}) > 1,
    }
    fault = next((what for what, is_so in faults.items() if is_so), None)
    return Told(text, used, finishes[-1] if finishes else "", fault)


async def run_streams(url: str, wanted: Sequence[Prompt]) -> list[Told]:
    """All streams at once."""
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=url, timeout=_TIMEOUT_S, limits=limits) as client:
        return list(await asyncio.gather(*(stream(client, prompt) for prompt in wanted)))


Disturbance = Callable[[], AbstractAsyncContextManager[list[float]]]


async def measure(
    url: str, admin_url: str, wanted: Sequence[Prompt], disturbed: Disturbance, rounds: int = 1
) -> Report:
    """Runs the streams twice undisturbed, then `rounds` times while `disturbed`, which gives the times of its kills."""
    first, second = await run_streams(url, wanted), await run_streams(url, wanted)
    carried, began = await _carried(admin_url), time.monotonic()
    async with disturbed() as kills:
        third = [outcome for _ in range(rounds) for outcome in await run_streams(url, wanted)]
    seconds = time.monotonic() - began
    every = first + second + third
    return Report(
        streams=len(third),
        seconds=round(seconds, 1),
        kills=len(kills),
        carried=await _carried(admin_url) - carried,
        failed=sum(outcome.fault is not None for outcome in every),
        agree_undisturbed=_agreement(first, second),
        agree=_agreement(first * rounds, third),
        examples=tuple(sorted({outcome.fault for outcome in every if outcome.fault})[:5]),
    )


def _agreement(first: Sequence[Told], second: Sequence[Told]) -> float:
    return sum(result == reference for result, reference in zip(first, second, strict=True)) / len(first)


async def _carried(admin_url: str) -> int:
    """Counts the streams that the router has carried on so far."""
    async with httpx.AsyncClient(headers=admin_headers()) as client:
        text = (await client.get(f"{admin_url}/metrics")).raise_for_status().text
    lines = [line for line in text.splitlines() if line.startswith("patchbay_router_streams_carried_total")]
    return int(sum(float(line.rpartition(" ")[2]) for line in lines if 'outcome="whole"' in line))


@asynccontextmanager
async def killing(url: str, every_s: float) -> AsyncIterator[list[float]]:
    """Kills a replica of the demo every `every_s` seconds, the longest-lived one, if another one is ready beside it."""
    kills: list[float] = []

    async def kill() -> None:
        while True:
            await asyncio.sleep(every_s)
            replicas = sorted(_replicas(), key=lambda process: process.create_time())
            if await _ready(url) > 1:
                os.kill(replicas[0].pid, signal.SIGKILL)
                kills.append(time.monotonic())

    task = asyncio.create_task(kill())
    try:
        yield kills
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _ready(url: str) -> int:
    async with httpx.AsyncClient() as client:
        return int((await client.get(f"{url}/healthz")).json()["replicas_ready"])


def _replicas() -> list[psutil.Process]:
    """The demo's replicas that are up: started by `patchbay`, as `-m patchbay.server`."""
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            line = process.cmdline()
            if "-m" in line and line[line.index("-m") + 1 :][:1] == ["patchbay.server"]:
                found.append(process)
    return found


def run(  # noqa: PLR0913, PLR0917 - Typer makes an option of each parameter
    url: Annotated[str, typer.Option(help="The demo's address, on loopback.")] = "http://127.0.0.1:8080",
    admin_url: Annotated[str, typer.Option(help="Its admin port's address.")] = "http://127.0.0.1:8081",
    streams: Annotated[int, typer.Option(min=1, help="Streams at a time.")] = 200,
    tokens: Annotated[int, typer.Option(min=1, help="Tokens a stream.")] = 128,
    rounds: Annotated[int, typer.Option(min=1, help="How often all streams run while replicas are killed.")] = 3,
    kill_every: Annotated[
        float, typer.Option(min=1, help="Seconds between kills; none while only one replica is ready.")
    ] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Kill replicas of a running demo (`patchbay demo up --replicas 2`) under streams, and compare what clients saw.

    Example: python -m loadtests.chaos --streams 200 --kill-every 10
    """
    try:
        check_loopback(url)
        check_loopback(admin_url)
        report = asyncio.run(
            measure(url, admin_url, prompts(streams, tokens), lambda: killing(url, kill_every), rounds)
        )
    except PatchbayError as error:
        raise typer.Exit(fail(error)) from error
    show(report, as_json=as_json)
    raise typer.Exit(1 if report.failed else 0)


def show(report: Report, *, as_json: bool = False) -> None:
    """Prints a report."""
    if as_json:
        sys.stdout.write(json.dumps(asdict(report)) + "\n")
        return
    table = Table("", "", title="Replicas killed under streams", show_header=False)
    for name, value in asdict(report).items():
        table.add_row(name.replace("_", " "), f"{value:.1%}" if name.startswith("agree") else str(value))
    Console().print(table)


if __name__ == "__main__":
    typer.run(run)
