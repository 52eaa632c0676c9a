"""The benchmark of looks at canaries that have lasted for long: `python -m loadtests.looking --help`.

It fills a registry in SQLite with canaries as a leader keeps them, one folded tally a look, and asks for what people,
`watch`, the admin API, a look and a new leader read.
"""

import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from sqlalchemy import create_engine, insert, update

from patchbay.registry.canary_records import CanaryDraft, CanaryRecord
from patchbay.registry.registry import Registry
from patchbay.registry.schema import canaries, looks, tallies
from patchbay.registry.times import utc_now
from patchbay.router.canary.incident import TOLD_LOOKS, summary
from patchbay.router.canary.ledger import Counts, Ledger
from patchbay.router.canary.named_plans import named_plan
from patchbay.router.canary.phases import CanarySurroundings, next_phase, place_of, verdict_json, with_tallies
from patchbay.router.canary.plan import PlanConfig
from patchbay.router.canary.status import standing
from patchbay.router.control.canary_loop import opened_ledger

_COUNTS = Counts(share=0.1, canary=50, other=450, bad={"errors": (0, 2)}, own={})
_ROUTERS = 3
_AT_ONCE = 20_000


@dataclass(frozen=True, slots=True)
class Past:
    """The past that fills the registry.

    `days`: for how long each canary has lasted; `every_s`: how far apart its looks are.
    """

    canaries: int
    days: float
    every_s: float

    @property
    def looks(self) -> int:
        """Of each canary."""
        return int(self.days * 86_400 / self.every_s)


def main(
    canaries_: Annotated[int, typer.Option("--canaries", min=1, help="How many canaries there are.")] = 100,
    days: Annotated[float, typer.Option(min=0.01, help="For how many days each has lasted.")] = 30,
    every_s: Annotated[float, typer.Option("--every", min=1, help="Seconds between two looks.")] = 30,
) -> None:
    """Prints how long each kind of looking takes, and the memory that this process had at most."""
    past = Past(canaries_, days, every_s)
    with tempfile.TemporaryDirectory(prefix="patchbay-looking-") as made:
        url = f"sqlite:///{Path(made) / 'registry.db'}"
        with Registry.open(url) as registry:
            plan = named_plan("careful")
            ids = _filled(registry, url, plan, past)
            rows = list(_measured(registry, plan, ids))
    shown = Table(title=f"{past.canaries} canaries of {past.days:g} days, {past.looks} looks each")
    for head in ("what", "milliseconds"):
        shown.add_column(head)
    for what, took_s in rows:
        shown.add_row(what, f"{took_s * 1000:.1f}")
    shown.add_row("(memory at most, MiB)", f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f}")
    Console().print(shown)


def _filled(registry: Registry, url: str, plan: PlanConfig, past: Past) -> list[int]:
    """The canaries, each of a pool of its own, since those need no revisions."""
    document, ids = plan.model_dump(mode="json"), []
    for number in range(past.canaries):
        made = registry.canaries.start(
            CanaryDraft(adapter=f"a{number}", number=number + 1, plan=document, actor="bench", pool=f"pool-{number}")
        )
        ids.append(made.id)
    now = utc_now()
    engine = create_engine(url)
    for canary in ids:
        for first in range(1, past.looks + 1, _AT_ONCE):
            numbers = range(first, min(first + _AT_ONCE, past.looks + 1))
            with engine.begin() as connection:
                connection.execute(insert(looks), [_look(canary, number, now) for number in numbers])
                connection.execute(insert(tallies), [_tally(canary, number, now) for number in numbers])
    began = now - timedelta(days=past.days)
    values = {"phase": "running", "weight": 1.0, "looks": past.looks, "judged": past.looks}
    with engine.begin() as connection:
        connection.execute(update(canaries).values(**values, began_at=began, step_at=began, updated_at=began))
    engine.dispose()
    for canary in ids:
        _look_at(registry, canary, plan, Ledger.opened(plan).after(plan, _COUNTS))
    return ids


def _look(canary: int, number: int, now: datetime) -> dict[str, Any]:
    return {"canary": canary, "number": number, "verdict": {"kind": "hold", "requests": [number, number]}, "at": now}


def _tally(canary: int, number: int, now: datetime) -> dict[str, Any]:
    return {"canary": canary, "source": "routers", "counts": _COUNTS.as_json, "at": now, "look": number}


def _look_at(registry: Registry, canary: int, plan: PlanConfig, ledger: Ledger) -> CanaryRecord:
    """A look as the router that leads takes it, of what three routers have counted."""
    for number in range(_ROUTERS):
        registry.canaries.tally(f"router-{number}", {canary: [_COUNTS.as_json]})

    def decide(record: CanaryRecord, found: Any, rollout: Any, stable: Any) -> Any:
        return next_phase(
            record,
            plan,
            with_tallies(plan, ledger, found),
            found,
            CanarySurroundings(rollout=rollout, stable=stable, now=utc_now()),
        )

    return registry.canaries.look(canary, decide)


def _measured(registry: Registry, plan: PlanConfig, ids: list[int]) -> Iterator[tuple[str, float]]:
    canary, known = ids[0], registry.canaries
    ledger, _ = opened_ledger(known, canary, plan)
    yield "status of all", _took_s(lambda: _status(registry, len(ids)))
    yield "a turn of watch", _took_s(lambda: standing(known.get(canary), tuple(known.judged(canary).values())))
    yield (
        "one canary by the admin API",
        _took_s(lambda: summary(known.get(canary), tuple(known.judged(canary).values()))),
    )
    yield "history of all", _took_s(lambda: known.history(limit=len(ids)))
    yield (
        f"a look, with what {_ROUTERS} routers wrote for it",
        _took_s(lambda: _look_at(registry, canary, plan, ledger)),
    )
    yield "what a new leader reads of a canary", _took_s(lambda: opened_ledger(known, canary, plan))
    yield "the looks of a report", _took_s(lambda: known.thinned(canary, TOLD_LOOKS))
    record = known.get(canary)
    place, now_s = place_of(record, utc_now()), utc_now().timestamp()
    yield "a verdict, without the registry", _took_s(lambda: verdict_json(plan, ledger, place, now_s))


def _status(registry: Registry, count: int) -> list[dict[str, Any]]:
    found = registry.canaries.history(limit=count)
    seen = registry.canaries.judged(*(canary.id for canary in found))
    return [standing(canary, [seen[canary.id]] if canary.id in seen else []) for canary in found]


def _took_s(work: Callable[[], object], rounds: int = 5) -> float:
    """The median of some rounds, in seconds."""
    took = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        took.append(time.perf_counter() - began)
    return sorted(took)[rounds // 2]


if __name__ == "__main__":
    typer.run(main)
