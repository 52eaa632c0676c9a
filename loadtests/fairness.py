"""The benchmark of fairness between adapter slots and between tenants: `python -m loadtests.fairness --help`.

Slots: 32 adapters on the demo's base, 64 streams, adapters drawn by Zipf(1), on the real engine. The same requests go
to vLLM's own server, to a replica of ours without the router, where vLLM's scheduler chooses too, and through the
router, in turns within one run, so that ratios are of one machine in one state. Then with slots sized by default.

Tenants: ten with six streams each, then the same with one of them flooding with ten times as many.
"""

import asyncio
import contextlib
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from loadtests.stacks import TOKEN, patchbay, registry_url, vllm_alone
from loadtests.streams import Load, Round, Took, drive, drive_tenants
from patchbay.core.errors import PatchbayError
from patchbay.core.exit_codes import fail

ALONE, REPLICA, ROUTER = "vLLM alone", "replica, no router", "router"
_TENANTS, _STREAMS, _FLOOD = 10, 6, 60
# Until routers know of new keys.
_KEYS_S = 3

Rounds = Mapping[str, list[Round]]


@dataclass(frozen=True, slots=True)
class Ratios:
    """The ratios of one way over another, medians over the rounds."""

    throughput: float
    p50: float
    p99: float


@dataclass(frozen=True, slots=True)
class Flood:
    """The figures of nine tenants beside the one that floods.

    `share`: the least of what one got over its fair share, which is a tenth of all, or what it asked for where that is
    less; `p95`: what its answers took over what they took without the flood.
    """

    share: float
    p95: float


def ratios(rounds: Rounds, ours: str, theirs: str) -> Ratios:
    """Computes the ratios of the way `ours` over the way `theirs`."""
    pairs = list(zip(rounds[ours], rounds[theirs], strict=True))
    return Ratios(
        statistics.median(numerator.throughput / denominator.throughput for numerator, denominator in pairs),
        statistics.median(numerator.p50_s / denominator.p50_s for numerator, denominator in pairs),
        statistics.median(numerator.p99_s / denominator.p99_s for numerator, denominator in pairs),
    )


def flooded(quiet: Sequence[Took], loud: Sequence[Took]) -> Flood:
    """The figures of a flood; the last of each is the one that floods."""
    tenth = sum(tenant.answers for tenant in loud) / len(loud)
    pairs = list(zip(quiet[:-1], loud[:-1], strict=True))
    share = min(after.answers / min(tenth, before.answers) for before, after in pairs)
    return Flood(share, statistics.median(after.p95_s / before.p95_s for before, after in pairs))


def targets(few: Rounds, plenty: Rounds, flood: Flood) -> dict[str, bool]:
    """Each target, and whether it is met."""
    gained, kept = ratios(few, ROUTER, ALONE), ratios(plenty, ROUTER, REPLICA)
    return {
        "few slots, router over vLLM alone: throughput >= 1.15": gained.throughput >= 1.15,
        "few slots, router over vLLM alone: TTFT p50 <= 0.5": gained.p50 <= 0.5,
        "few slots, router over vLLM alone: TTFT p99 <= 1.2": gained.p99 <= 1.2,
        "default slots, router over all resident: throughput >= 0.95": kept.throughput >= 0.95,
        "flood: the least share of the nine others >= 0.9": flood.share >= 0.9,
        "flood: p95 of the nine others <= 1.5": flood.p95 <= 1.5,
    }


def run(
    rounds: Annotated[int, typer.Option(min=1, help="Rounds of each way.")] = 5,
    seconds: Annotated[float, typer.Option(min=5, help="Seconds a round.")] = 30,
    slots: Annotated[int, typer.Option(min=1, help="Adapter slots, fewer than there are adapters.")] = 4,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measures admission with few slots, with the default, and under a flood. Exit code 1: a target is missed.

    Example: python -m loadtests.fairness --rounds 5
    """
    load = Load(seconds=seconds)
    steps = rounds * 3 + max(1, rounds // 2) * 2 + 2
    try:
        with (
            tempfile.TemporaryDirectory(prefix="patchbay-fairness-") as made,
            Progress(console=Console(stderr=True), transient=True) as progress,
        ):
            bench = _Bench(Path(made), load, progress, steps)
            few = bench.few(slots, rounds)
            plenty, flood = bench.plenty(max(1, rounds // 2))
    except PatchbayError as error:
        raise typer.Exit(fail(error)) from error
    met = targets(few, plenty, flood)
    failed = sum(round_.failed for way in (*few.values(), *plenty.values()) for round_ in way)
    (_print_json if as_json else _print)(few, plenty, flood, met)
    raise typer.Exit(0 if all(met.values()) and not failed else 1)


class _Bench:
    """Runs the benchmark's rounds, each a step of `progress`."""

    def __init__(self, folder: Path, load: Load, progress: Progress, steps: int) -> None:
        self._folder = folder
        self._load = load
        self._progress = progress
        self._bar = progress.add_task("starting", total=steps)

    def few(self, slots: int, rounds: int) -> Rounds:
        """vLLM alone, a replica and the router, with so many slots."""
        with (
            vllm_alone(self._folder / "alone", self._load, slots) as alone,
            patchbay(self._folder / "few", self._load, slots) as (router, replica),
        ):
            return self._compare({ALONE: alone, REPLICA: replica, ROUTER: router}, rounds)

    def plenty(self, rounds: int) -> tuple[Rounds, Flood]:
        """A replica, where every adapter has a slot, and the router; then a flood."""
        folder = self._folder / "plenty"
        with patchbay(folder, self._load, None) as (router, replica):
            compared = self._compare({REPLICA: replica, ROUTER: router}, rounds)
            return compared, self._flood(router, folder)

    def _compare(self, ways: Mapping[str, str], rounds: int) -> Rounds:
        done: dict[str, list[Round]] = {way: [] for way in ways}
        for seed in range(rounds):
            for way, url in ways.items():
                with self._step(f"{way}, round {seed + 1}"):
                    headers = {"authorization": f"Bearer {TOKEN}"} if way == REPLICA else {}
                    done[way].append(asyncio.run(drive(url, headers, self._load, seed)))
        return done

    def _flood(self, router: str, folder: Path) -> Flood:
        keys = _keys(folder)
        load, quiet = replace(self._load, adapters=_STREAMS), dict.fromkeys(keys, _STREAMS)
        with self._step("ten tenants"):
            before = asyncio.run(drive_tenants(router, quiet, load))
        with self._step("one of them floods"):
            after = asyncio.run(drive_tenants(router, quiet | {keys[-1]: _FLOOD}, load))
        return flooded(list(before.values()), list(after.values()))

    @contextlib.contextmanager
    def _step(self, what: str) -> Iterator[None]:
        self._progress.update(self._bar, description=what)
        yield
        self._progress.advance(self._bar)


def _keys(folder: Path) -> list[str]:
    """A key of each of ten new tenants."""
    from patchbay.core.tenancy import Limits
    from patchbay.registry.records import Scope
    from patchbay.registry.registry import Registry

    with Registry.open(registry_url(folder)) as registry:
        accounts, keys = registry.accounts, []
        for number in range(_TENANTS):
            tenant = accounts.create_tenant(f"tenant-{number}", tier="default", limits=Limits(), actor="bench")
            keys.append(accounts.create_key(tenant.name, Scope(), actor="bench")[0].text)
    time.sleep(_KEYS_S)
    return keys


def _print_json(few: Rounds, plenty: Rounds, flood: Flood, met: Mapping[str, bool]) -> None:
    shown = {
        "few": asdict(ratios(few, ROUTER, ALONE)),
        "few_same_engine": asdict(ratios(few, ROUTER, REPLICA)),
        "default": asdict(ratios(plenty, ROUTER, REPLICA)),
        "flood": asdict(flood),
        "met": dict(met),
        "rounds": [
            {way: [asdict(round_) for round_ in made] for way, made in rounds.items()} for rounds in (few, plenty)
        ],
    }
    sys.stdout.write(json.dumps(shown) + "\n")


def _print(few: Rounds, plenty: Rounds, flood: Flood, met: Mapping[str, bool]) -> None:
    table, console = Table("slots", "way", "tokens/s", "TTFT p50, s", "TTFT p99, s", "failed"), Console()
    for name, rounds in (("few", few), ("default", plenty)):
        for way, made in rounds.items():
            middle = [statistics.median(values) for values in zip(*(_figures(round_) for round_ in made), strict=True)]
            failed = sum(round_.failed for round_ in made)
            table.add_row(name, way, f"{middle[0]:.0f}", f"{middle[1]:.2f}", f"{middle[2]:.2f}", str(failed))
    console.print(table)
    over = Table("ratio, median of rounds", "throughput", "TTFT p50", "TTFT p99")
    compared = (
        ("few slots: router over vLLM alone", ratios(few, ROUTER, ALONE)),
        ("few slots: replica over vLLM alone", ratios(few, REPLICA, ALONE)),
        ("few slots: router over replica", ratios(few, ROUTER, REPLICA)),
        ("default slots: router over replica", ratios(plenty, ROUTER, REPLICA)),
    )
    for name, ratio in compared:
        over.add_row(name, f"{ratio.throughput:.2f}", f"{ratio.p50:.2f}", f"{ratio.p99:.2f}")
    console.print(over)
    console.print(
        f"flood: least share of the nine others {flood.share:.2f}, their p95 {flood.p95:.2f} of the quiet run's"
    )
    for target, reached in met.items():
        console.print(f"{target}: {'met' if reached else '[red]missed[/red]'}")


def _figures(round_: Round) -> tuple[float, float, float]:
    return round_.throughput, round_.p50_s, round_.p99_s


if __name__ == "__main__":
    typer.run(run)
