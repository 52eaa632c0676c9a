"""What admission does for adapter slots, beside vLLM alone: `python -m loadtests.fairness --help`.

32 adapters on the demo's base, 64 streams, adapters drawn by Zipf(1). The same requests go to the replica itself, which
lets vLLM's own scheduler choose, and through the router, turn and turn about within one run, so that ratios are of one
machine in one state. Then the same with slots sized by default.
"""

import asyncio
import contextlib
import json
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import aiohttp
import httpx
import typer
import yaml
from rich.console import Console
from rich.table import Table

from adapters.errors import PatchbayError, fail

_TOKEN = "bench-fairness"  # noqa: S105 - of servers on loopback that end with this run
_PORTS = (18480, 18481, 19480)
_START_S = 240
# Seconds of a round that are not counted: the streams begin all at once.
_WARM_S = 8.0


@dataclass(frozen=True, slots=True)
class Load:
    """What is asked: `streams` at a time, of `adapters` by Zipf(1), answers of `tokens` tokens, for `seconds`."""

    streams: int = 64
    adapters: int = 32
    tokens: int = 32
    seconds: float = 40


@dataclass(frozen=True, slots=True)
class Round:
    """One way, once. Seconds, and tokens a second."""

    throughput: float
    p50_s: float
    p99_s: float
    failed: int


@dataclass(frozen=True, slots=True)
class Ratios:
    """The router over vLLM alone, medians over the rounds."""

    throughput: float
    p50: float
    p99: float


def zipf(count: int, length: int, seed: int) -> list[int]:
    """`length` draws from 0 to `count` - 1, the n-th with a weight of 1/n."""
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


def make_adapters(source: Path, folder: Path, count: int) -> dict[str, str]:
    """`count` adapters like the one in `source`, each with weights of its own."""
    from safetensors.torch import load_file, save_file

    weights, made = load_file(source / "adapter_model.safetensors"), {}
    for place in range(count):
        one = folder / f"zipf-{place:02d}"
        one.mkdir(parents=True)
        (one / "adapter_config.json").write_text((source / "adapter_config.json").read_text())
        own = {name: (tensor * (1 + place / 100)).contiguous() for name, tensor in weights.items()}
        save_file(own, one / "adapter_model.safetensors")
        made[one.name] = str(one)
    return made


@contextlib.contextmanager
def serving(folder: Path, load: Load, slots: int | None) -> Iterator[tuple[str, str]]:
    """`patchbay up` with so many slots (None: by default); gives the router's address and the replica's."""
    from adapters.demo.build import build_demo
    from adapters.demo.progress import Silent
    from adapters.demo.recipe import SHIPPED_SEED
    from adapters.paths import data_dir
    from launch.demo import demo_sections

    folder.mkdir(parents=True, exist_ok=True)
    models = build_demo(data_dir(), seed=SHIPPED_SEED, train=False, progress=Silent())
    port, admin_port, first_port = _PORTS
    sections = demo_sections(models)
    lora = {"max_cpu_loras": 2 * load.adapters, **({"max_loras": slots} if slots else {})}
    config = {
        "base": sections["base"],
        "engine": {**sections["engine"], "max_num_seqs": load.streams},
        "adapters": make_adapters(models.adapters["sql"], folder / "adapters", load.adapters),
        "lora": lora,
        "replicas": {"first_port": first_port, "token": _TOKEN},
        "router": {"port": port, "admin_port": admin_port},
        "registry": {"url": f"sqlite:///{folder / 'registry.db'}", "artifacts": str(folder / "artifacts")},
    }
    file = folder / "patchbay.yaml"
    file.write_text(yaml.safe_dump(config))
    command = [sys.executable, "-m", "patchbay", "up", "--config", str(file)]
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            _wait(f"http://127.0.0.1:{port}", load.adapters, process, folder / "log")
            yield f"http://127.0.0.1:{port}", f"http://127.0.0.1:{first_port}"
        finally:
            process.send_signal(signal.SIGINT)


def _wait(url: str, adapters: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    end = time.monotonic() + _START_S
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(httpx.HTTPError):
            listed = httpx.get(f"{url}/v1/models").json()["data"]
            if sum(one["id"].startswith("zipf-") and "@" not in one["id"] for one in listed) == adapters:
                return
        time.sleep(0.5)
    raise PatchbayError(f"The servers do not start: {log.read_text()[-500:]}")


def compare(folder: Path, load: Load, slots: int | None, rounds: int) -> tuple[list[Round], list[Round]]:
    """`rounds` rounds at vLLM alone and through the router, turn and turn about."""
    alone, routed = [], []
    with serving(folder, load, slots) as (router, replica):
        token = {"authorization": f"Bearer {_TOKEN}"}
        for seed in range(rounds):
            alone.append(asyncio.run(drive(replica, token, load, seed)))
            routed.append(asyncio.run(drive(router, {}, load, seed)))
    return alone, routed


def ratios(alone: Sequence[Round], routed: Sequence[Round]) -> Ratios:
    """Medians over the rounds of what the router makes of it."""
    pairs = list(zip(alone, routed, strict=True))
    return Ratios(
        statistics.median(ours.throughput / theirs.throughput for theirs, ours in pairs),
        statistics.median(ours.p50_s / theirs.p50_s for theirs, ours in pairs),
        statistics.median(ours.p99_s / theirs.p99_s for theirs, ours in pairs),
    )


def run(
    rounds: Annotated[int, typer.Option(min=1, help="Rounds of each way.")] = 5,
    seconds: Annotated[float, typer.Option(min=5, help="Seconds a round.")] = 30,
    slots: Annotated[int, typer.Option(min=1, help="Adapter slots, fewer than there are adapters.")] = 4,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measures admission with few slots and with the default, beside vLLM alone. Exit code 1: a target is missed.

    Example: python -m loadtests.fairness --rounds 5
    """
    load = Load(seconds=seconds)
    try:
        with tempfile.TemporaryDirectory(prefix="patchbay-fairness-") as folder:
            few = compare(Path(folder) / "few", load, slots, rounds)
            plenty = compare(Path(folder) / "plenty", load, None, max(1, rounds // 2))
    except PatchbayError as error:
        raise typer.Exit(fail(error)) from error
    raise typer.Exit(0 if report(few, plenty, slots, as_json=as_json) else 1)


def report(
    few: tuple[list[Round], list[Round]], plenty: tuple[list[Round], list[Round]], slots: int, *, as_json: bool
) -> bool:
    """Prints what was measured, and tells whether all targets are met."""
    gained, kept = ratios(*few), ratios(*plenty)
    met = {
        "throughput >= 1.15": gained.throughput >= 1.15,
        "TTFT p50 <= 0.5": gained.p50 <= 0.5,
        "TTFT p99 <= 1.2": gained.p99 <= 1.2,
        "default slots: throughput >= 0.95": kept.throughput >= 0.95,
    }
    failed = sum(one.failed for way in (*few, *plenty) for one in way)
    if as_json:
        shown = {"few": asdict(gained), "default": asdict(kept), "met": met, "failed": failed}
        shown |= {"rounds": [[asdict(one) for one in way] for way in (*few, *plenty)]}
        sys.stdout.write(json.dumps(shown) + "\n")
        return all(met.values()) and not failed
    table = Table("slots", "way", "tokens/s", "TTFT p50, s", "TTFT p99, s", "failed")
    for name, ways in ((str(slots), few), ("default", plenty)):
        for way, rounds in zip(("vLLM alone", "router"), ways, strict=True):
            table.add_row(
                name,
                way,
                f"{statistics.median(one.throughput for one in rounds):.0f}",
                f"{statistics.median(one.p50_s for one in rounds):.2f}",
                f"{statistics.median(one.p99_s for one in rounds):.2f}",
                str(sum(one.failed for one in rounds)),
            )
    console = Console()
    console.print(table)
    console.print(f"{slots} slots, router over vLLM alone, medians of {len(few[0])} rounds: {asdict(gained)}")
    console.print(f"default slots: {asdict(kept)}")
    for target, reached in met.items():
        console.print(f"{target}: {'met' if reached else '[red]missed[/red]'}")
    return all(met.values()) and not failed


if __name__ == "__main__":
    typer.run(run)
