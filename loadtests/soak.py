"""The soak test: mixed load for minutes on end, and the router's memory under it: `python -m loadtests.soak --help`.

Small calls, streams, clients that leave amid a stream, clients that read slowly, requests that are refused. After a
time to warm up the router's resident memory must stay where it is.
"""

import asyncio
import json
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import aiohttp
import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from loadtests.overhead.targets import FULL, TARGETS, Running, running, running_engine
from patchbay.core.errors import PatchbayError
from patchbay.core.exit_codes import fail

_CHAT = "/v1/chat/completions"
_WARM_SHARE = 0.3
_LOOK_S = 2.0
_GROWTH_ALLOWED = 0.05
_CHUNKS = 40


@dataclass(frozen=True, slots=True)
class Report:
    """The result of a soak test.

    Memory is the router's resident set in MiB: the median of the first and of the last tenth of the time after warming
    up; `growth`: between the two, as a share of the first.
    """

    seconds: float
    requests: dict[str, int]
    unexpected: tuple[str, ...]
    warm_mib: float
    last_mib: float
    growth: float

    @property
    def passed(self) -> bool:
        """Whether all went as expected, and the memory stayed where it was."""
        return not self.unexpected and self.growth <= _GROWTH_ALLOWED


class Load:
    """Clients of many kinds, each asking again and again until `until_s` on the event loop's clock."""

    def __init__(self, session: aiohttp.ClientSession, until_s: float) -> None:
        self._session = session
        self._until_s = until_s
        self.done: Counter[str] = Counter()
        self.unexpected: Counter[str] = Counter()

    async def run(self) -> None:
        """All clients, to the end."""
        kinds: list[tuple[Callable[[], Awaitable[None]], int]] = [
            (self.call, 6),
            (self.stream, 30),
            (self.leave, 8),
            (self.read_slowly, 4),
            (self.refused, 2),
        ]
        async with asyncio.TaskGroup() as clients:
            for kind, count in kinds:
                for _ in range(count):
                    clients.create_task(self._again(kind))

    async def _again(self, kind: Callable[[], Awaitable[None]]) -> None:
        while asyncio.get_running_loop().time() < self._until_s:
            try:
                await kind()
                self.done[kind.__name__] += 1
            except (aiohttp.ClientError, TimeoutError) as error:
                self.unexpected[f"{kind.__name__}: {type(error).__name__} {error}"] += 1

    def _ask(self, **fields: Any) -> Any:
        body = {"model": "fake", "messages": [{"role": "user", "content": "hi"}], "max_tokens": _CHUNKS, "user": "5"}
        return self._session.post(_CHAT, json=body | fields)

    async def call(self) -> None:
        async with self._ask() as answer:
            self._expect(answer.status == 200, f"call: {answer.status}")
            await answer.read()
        await asyncio.sleep(0.01)

    async def stream(self) -> None:
        async with self._ask(stream=True) as answer:
            text = await answer.read()
        self._expect(text.endswith(b"data: [DONE]\n\n") and text.count(b" token") == _CHUNKS, "stream: not whole")

    async def leave(self) -> None:
        async with self._ask(stream=True) as answer:
            await answer.content.read(random.randrange(1, 2000))  # noqa: S311 - no secret
            answer.close()
        await asyncio.sleep(0.05)

    async def read_slowly(self) -> None:
        async with self._ask(stream=True, max_tokens=400, user="1") as answer:
            while await answer.content.read(2000):  # noqa: ASYNC110 - slowness is the point
                await asyncio.sleep(0.05)

    async def refused(self) -> None:
        async with self._ask(model="no such model") as answer:
            self._expect(answer.status == 404, f"refused: {answer.status}")
            await answer.read()
        await asyncio.sleep(0.05)

    def _expect(self, holds: bool, what: str) -> None:
        if not holds:
            self.unexpected[what] += 1


async def soak(router: Running, seconds: float, tell: Callable[[float], None]) -> Report:
    """Loads `router` for so long; `tell` is told how many seconds have gone."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    looks: list[tuple[float, float]] = []
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(router.url, connector=connector, timeout=aiohttp.ClientTimeout(60)) as session:
        load = Load(session, began + seconds)
        running_load = asyncio.create_task(load.run())
        while not running_load.done():
            await asyncio.wait({running_load}, timeout=_LOOK_S)
            looks.append((loop.time() - began, router.rss_mib()))
            tell(loop.time() - began)
        await running_load
    return _report(seconds, load, looks)


def _report(seconds: float, load: Load, looks: list[tuple[float, float]]) -> Report:
    warm = [mib for at_s, mib in looks if at_s >= seconds * _WARM_SHARE]
    tenth = max(1, len(warm) // 10)
    first, last = statistics.median(warm[:tenth]), statistics.median(warm[-tenth:])
    unexpected = tuple(f"{count} x {what}" for what, count in load.unexpected.most_common(5))
    return Report(seconds, dict(load.done), unexpected, round(first, 1), round(last, 1), round(last / first - 1, 4))


def run(
    minutes: Annotated[float, typer.Option(min=0.1, max=120, help="How long.")] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Put mixed load on a router in front of the benchmark's fake engine, and watch its memory.

    Example: python -m loadtests.soak --minutes 10
    """
    target = next(candidate for candidate in TARGETS if candidate.name == FULL)
    with (
        tempfile.TemporaryDirectory() as folder,
        running_engine() as engine,
        running(target, engine, Path(folder)) as router,
        Progress(console=Console(stderr=True), transient=True) as progress,
    ):
        task = progress.add_task("soaking", total=minutes * 60)
        began = time.monotonic()
        report = asyncio.run(soak(router, minutes * 60, lambda _: _advance(progress, task, time.monotonic() - began)))
    if as_json:
        sys.stdout.write(json.dumps(asdict(report)) + "\n")
    else:
        table = Table("", "", title="Mixed load on one router", show_header=False)
        for name, value in asdict(report).items():
            table.add_row(name.replace("_", " "), f"{value:.1%}" if name == "growth" else str(value))
        Console().print(table)
    raise typer.Exit(0 if report.passed else 1)


def _advance(progress: Progress, task: Any, done_s: float) -> None:
    progress.update(task, completed=done_s)


if __name__ == "__main__":
    try:
        typer.run(run)
    except PatchbayError as error:
        raise SystemExit(fail(error)) from error
