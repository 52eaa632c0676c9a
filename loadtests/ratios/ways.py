"""The ways to load a stack, what is measured on it, and the ratios that are made of that."""

import asyncio
import contextlib
import statistics
import tempfile
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from loadtests.load.plan import zipf_weights
from loadtests.overhead.targets import free_port
from loadtests.ratios.asking import Load, Place, first_token_s, tokens_per_s, worst_gap_s
from loadtests.stacks import TOKEN, demo_models, make_adapters, registry_url
from patchbay.core.errors import PatchbayError
from patchbay.launch.subprocesses import patchbay_up

SLOTS = 4
_ADAPTERS = 16
_BASE, _GUARDED = "demo-base", "guarded"
_GUARDS = {
    "pii": {"kind": "rules", "sets": ["pii"], "action": "redact"},
    "secrets": {"kind": "rules", "sets": ["secrets"], "action": "redact"},
}
# Cold starts and gaps of one repetition, of which the median counts.
_TRIES = 3
_STREAM = 64

Measured = dict[str, float]


@dataclass(frozen=True, slots=True)
class Ratio:
    """One ratio to measure: of what `of` measured over what `by` did; `unit`: of both."""

    name: str
    of: str
    by: str
    unit: str


RATIOS = (
    Ratio("LoRA on: one adapter over the base", "one adapter", "base", "tokens/s"),
    Ratio(f"{SLOTS} adapters over one", "uniform over the slots", "one adapter", "tokens/s"),
    Ratio(
        "working set of twice the slots over one of them",
        "uniform over twice the slots",
        "uniform over the slots",
        "tokens/s",
    ),
    Ratio(
        "Zipf over uniform, twice the slots", "Zipf over twice the slots", "uniform over twice the slots", "tokens/s"
    ),
    Ratio("router and guards over the replica itself", "router and guards", "direct", "tokens/s"),
    Ratio("time to first token: cold over resident", "cold", "resident", "ms"),
    Ratio("bystanders' worst gap: during a load over without", "gap during a load", "gap without", "ms"),
)


@dataclass(frozen=True, slots=True)
class Figure:
    """The measured ratio over the repetitions. `of` and `by`: the medians of its sides."""

    name: str
    median: float
    least: float
    most: float
    of: float
    by: float
    unit: str


def summed(repetitions: Sequence[Mapping[str, float]]) -> list[Figure]:
    """Each ratio is taken within a repetition, and then the median of them. Pure."""
    found = []
    for ratio in RATIOS:
        pairs = [(repetition[ratio.of], repetition[ratio.by]) for repetition in repetitions]
        values = [of / by for of, by in pairs]
        of, by = (statistics.median(side) for side in zip(*pairs, strict=True))
        found.append(Figure(ratio.name, statistics.median(values), min(values), max(values), of, by, ratio.unit))
    return found


@dataclass(frozen=True, slots=True)
class Stack:
    """The running stack: the router, and the replica behind it."""

    router: Place
    replica: Place

    def on_disk(self) -> list[str]:
        """The adapters that are in none of the replica's memories."""
        answer = httpx.get(f"{self.replica.url}/internal/status", headers=self.replica.headers, timeout=10)
        found = answer.raise_for_status().json()["revisions"]
        return [revision["adapter"] for revision in found if revision["tier"] == "disk"]


@contextlib.contextmanager
def running_stack() -> Iterator[Stack]:
    """The demo's base with sixteen adapters, four slots, host memory for eight, and a route with guards."""
    from patchbay.launch.demo import demo_sections

    models = demo_models()
    sections = demo_sections(models)
    with tempfile.TemporaryDirectory(prefix="patchbay-ratios-") as made:
        folder = Path(made)
        port, first_port = free_port(), free_port()
        config = {
            "base": sections["base"],
            "engine": sections["engine"],
            "adapters": make_adapters(models.adapters["sql"], folder / "adapters", _ADAPTERS),
            "lora": {"max_loras": SLOTS, "max_cpu_loras": 2 * SLOTS},
            "guards": _GUARDS,
            "routes": {_GUARDED: {"model": names(1)[0], "guards": list(_GUARDS)}},
            "replicas": {"first_port": first_port, "token": TOKEN},
            "router": {"port": port, "admin_port": free_port()},
            "registry": {"url": registry_url(folder), "artifacts": str(folder / "artifacts")},
        }
        with patchbay_up(config, folder):
            replica = Place(f"http://127.0.0.1:{first_port}", {"authorization": f"Bearer {TOKEN}"})
            yield Stack(Place(f"http://127.0.0.1:{port}"), replica)


def names(count: int) -> list[str]:
    """The first adapters."""
    return [f"zipf-{place:02d}" for place in range(count)]


Step = Callable[[], Coroutine[Any, Any, Measured]]


def steps(stack: Stack, load: Load) -> dict[str, Step]:
    """Returns the steps that one repetition measures, by what it is called while it does."""

    def throughput(name: str, models: list[str], zipf: float = 0, place: Place = stack.router) -> None:
        async def measure() -> Measured:
            return {name: await tokens_per_s(place, models, zipf_weights(len(models), zipf), load)}

        found[name] = measure

    found: dict[str, Step] = {"cold starts": lambda: _cold(stack), "gaps": lambda: _gaps(stack)}
    throughput("base", [_BASE])
    throughput("one adapter", names(1))
    throughput("uniform over the slots", names(SLOTS))
    throughput("uniform over twice the slots", names(2 * SLOTS))
    throughput("Zipf over twice the slots", names(2 * SLOTS), 1)
    throughput("router and guards", [_GUARDED])
    throughput("direct", names(1), place=stack.replica)
    return found


def repetition(stack: Stack, load: Load, turn: int, tell: Callable[[str], None]) -> Measured:
    """Measures everything once; each repetition begins elsewhere, so that nothing always follows the same."""
    wanted = list(steps(stack, load).items())
    start = turn % len(wanted)
    measured: Measured = {}
    for name, step in wanted[start:] + wanted[:start]:
        tell(name)
        measured |= asyncio.run(step())
    return measured


async def _cold(stack: Stack) -> Measured:
    """Times to first token, in ms, of adapters that come from disk, and of one that is in its slot."""
    cold = [1000 * await first_token_s(stack.router, name) for name in await _some_on_disk(stack)]
    warm = names(1)[0]
    await first_token_s(stack.router, warm)
    resident = [1000 * await first_token_s(stack.router, warm) for _ in cold]
    return {"cold": statistics.median(cold), "resident": statistics.median(resident)}


async def _gaps(stack: Stack) -> Measured:
    """The worst gaps of streams, in ms, beside which an adapter comes from disk, and beside which none does."""
    during, without = [], []
    warm = names(1)[0]
    await first_token_s(stack.router, warm)
    for name in await _some_on_disk(stack):

        async def load_it(name: str = name) -> None:
            await first_token_s(stack.router, name)

        async def load_none() -> None:
            await first_token_s(stack.router, warm)

        without.append(1000 * await worst_gap_s(stack.router, warm, _STREAM, load_none))
        during.append(1000 * await worst_gap_s(stack.router, warm, _STREAM, load_it))
    return {"gap during a load": statistics.median(during), "gap without": statistics.median(without)}


async def _some_on_disk(stack: Stack) -> list[str]:
    found = await asyncio.to_thread(stack.on_disk)
    if len(found) < _TRIES:
        raise PatchbayError(f"Only {len(found)} adapters are on disk alone: nothing to start cold.")
    return found[:_TRIES]
