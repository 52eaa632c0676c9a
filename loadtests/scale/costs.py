"""The costs of the router's own decisions, and of the registry's operations, on this machine.

They are measured, so never twice the same: kept apart from what is simulated.
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from patchbay.registry.canary_records import CanaryDraft, CanaryRecord, CanaryTally, LookDraft
from patchbay.registry.records import (
    FileRecord,
    Provenance,
    ReplicaReport,
    RevisionDraft,
    Rollout,
    RouterBeat,
    UsageBatch,
    UsageRow,
)
from patchbay.registry.registry import Registry
from patchbay.registry.times import utc_now
from patchbay.router.admission.scheduler import Room, Scheduler, Waiting
from patchbay.router.balance.pick import Query, pick
from patchbay.router.canary.ledger import Counts, Ledger
from patchbay.router.canary.named_plans import named_plan
from patchbay.router.canary.phases import CanarySurroundings, next_phase, with_tallies
from patchbay.router.canary.plan import PlanConfig
from patchbay.router.fleet.names import build_table
from patchbay.router.fleet.snapshot import Catalog, HeldRevision, Replica, Target
from patchbay.router.http.body import Prompt

_COUNTS = Counts(share=0.1, canary=5, other=45, bad={"errors": (0, 1)})
_TALLIED = 30
_WAITING = 500


@dataclass(frozen=True, slots=True)
class Decision:
    """The CPU microseconds of one decision over so many replicas.

    `pick`: of the balancer; `fits`: where there is room, while nobody waits; `next`: whose turn it is, while 500
    requests for 500 revisions wait and nobody can go.
    """

    replicas: int
    pick_us: float
    fits_us: float
    next_us: float


@dataclass(frozen=True, slots=True)
class Operations:
    """The milliseconds of one operation on a registry in SQLite.

    `look`: one at a canary, with its verdict; `tally`: what a router counted of 30; `snapshot_us`: microseconds of a
    whole snapshot, an adapter.
    """

    look_ms: float
    tally_ms: float
    beat_ms: float
    usage_ms: float
    report_ms: float
    lease_ms: float
    generation_ms: float
    snapshot_us: float


def decisions(counts: Sequence[int]) -> list[Decision]:
    """Measures what decisions cost, by the number of replicas."""
    return [_decision(count) for count in counts]


def table_us(replicas: int, adapters: int) -> float:
    """CPU microseconds that one revision on one replica costs when the table of names is made anew."""
    revisions = tuple(
        HeldRevision(adapter=f"a{n}", number=1, engine_name=f"a{n}@1-0123456789ab", state="resident")
        for n in range(adapters)
    )
    known = [
        Replica(
            name=f"r{n}",
            url="",
            state="ready",
            reason=None,
            catalog=Catalog(base="base", source="base", revisions=revisions),
        )
        for n in range(replicas)
    ]
    return _cpu_us(lambda _: build_table(known), 3) / (replicas * adapters)


def operations(*, rounds: int, adapters: int) -> Operations:
    """Measures what operations on a registry cost, by medians of so many rounds; its snapshot with so many adapters."""
    with (
        tempfile.TemporaryDirectory(prefix="patchbay-costs-") as made,
        Registry.open(f"sqlite:///{Path(made) / 'registry.db'}") as registry,
    ):
        return _operations(registry, rounds, adapters)


def _operations(registry: Registry, rounds: int, adapters: int) -> Operations:
    bench = _Canary(registry)
    hour = utc_now().replace(minute=0, second=0, microsecond=0)
    return Operations(
        look_ms=_wall_ms(bench.look, rounds, before=bench.tally),
        tally_ms=_wall_ms(bench.tally_of_many, rounds),
        beat_ms=_wall_ms(lambda n: registry.beat(RouterBeat("one", n, utc_now())), rounds),
        usage_ms=_wall_ms(
            lambda n: registry.accounts.add_usage(
                UsageBatch("bench", n + 1, (UsageRow(hour=hour, tenant="t", route="", model=f"m{n}", requests=1),))
            ),
            rounds,
        ),
        report_ms=_wall_ms(lambda n: registry.put_report(_report(n)), rounds),
        lease_ms=_wall_ms(lambda _: registry.take_lease("scale", "one", 6), rounds),
        generation_ms=_wall_ms(lambda _: registry.generation(), rounds),
        snapshot_us=_snapshot_us(registry, adapters),
    )


class _Canary:
    """A canary of a pool that never ends: it has as many bad answers as stable has."""

    def __init__(self, registry: Registry) -> None:
        self._canaries = registry.canaries
        self._plan: PlanConfig = named_plan("careful")
        self._ledger = Ledger.opened(self._plan)
        draft = CanaryDraft(adapter="", number=0, plan=self._plan.model_dump(mode="json"), actor="scale", pool="next")
        self._id = self._canaries.start(draft).id
        for _ in range(3):
            self.look(0)

    def tally(self, _: int) -> None:
        """Writes what a router counted in half a second."""
        self._canaries.tally("one", {self._id: [_COUNTS.as_json]})

    def tally_of_many(self, _: int) -> None:
        """Writes at once what a router counted of as many canaries as the largest plane has."""
        self._canaries.tally("one", {self._id: [_COUNTS.as_json] * _TALLIED})

    def look(self, _: int) -> None:
        """A look, as the router that leads takes it twice a second."""
        self._canaries.look(self._id, self._decide)

    def _decide(
        self, record: CanaryRecord, tallies: Sequence[CanaryTally], rollout: Rollout | None, stable: int | None
    ) -> LookDraft | None:
        self._ledger = with_tallies(self._plan, self._ledger, tallies)
        return next_phase(
            record, self._plan, self._ledger, tallies, CanarySurroundings(rollout=rollout, stable=stable, now=utc_now())
        )


def _report(number: int) -> ReplicaReport:
    return ReplicaReport(
        name=f"replica-{number % 50}",
        base=None,
        ready=True,
        slots=8,
        cpu=32,
        usage={},
        placements=(),
        seen_at=utc_now(),
    )


def _snapshot_us(registry: Registry, adapters: int) -> float:
    for number in range(adapters):
        registry.push(_draft(number), actor="scale")
    return _wall_ms(lambda _: registry.snapshot(), 5) * 1000 / adapters


def _draft(number: int) -> RevisionDraft:
    files = (FileRecord(name="adapter_model.safetensors", sha256=f"{number:064x}", size=10),)
    origin = Provenance(source="scale", evaluations={}, tags=(), expires=None)
    return RevisionDraft(
        adapter=f"a{number}",
        digest=f"{number:064x}",
        base=None,
        rank=8,
        alpha=16.0,
        targets=("q_proj",),
        files=files,
        provenance=origin,
    )


def _decision(count: int) -> Decision:
    names = tuple(f"replica-{number}" for number in range(count))
    replicas = [Replica(name=name, url="", state="ready", reason=None) for name in names]
    rooms, scheduler = {name: Room(requests=64, slots=8, elsewhere=0) for name in names}, Scheduler()
    target = Target(label="sql", engine_name="sql@1-0123456789ab", revision="sql@1", replicas=names)
    prompts = [Prompt(text=msgspec.Raw(b'"question %d"' % number)) for number in range(50)]
    waiting = Waiting(tenant="t", revision=target.engine_name, replicas=frozenset(names), cost=100, since_s=0.0)
    rounds = max(3, 2000 // count)
    return Decision(
        count,
        _cpu_us(lambda n: pick(replicas, Query(target=target, prompt=prompts[n % 50], turn=n), {}), rounds),
        _cpu_us(lambda _: scheduler.fits(waiting, rooms), rounds),
        _cpu_us(_full(names), 3),
    )


def _full(names: tuple[str, ...]) -> Callable[[int], object]:
    """A look at whose turn it is, at a desk where all slots are taken."""
    scheduler, rooms = Scheduler(), {name: Room(requests=64, slots=1, elsewhere=0) for name in names}
    for name in names:
        scheduler.take(
            Waiting(tenant="t", revision="held", replicas=frozenset((name,)), cost=1, since_s=0.0), name, 0.0
        )
    everywhere = frozenset(names)
    for number in range(_WAITING):
        scheduler.arrive(Waiting(tenant="t", revision=f"a{number}", replicas=everywhere, cost=1, since_s=0.0))
    return lambda _: scheduler.next(rooms, 0.0, 10.0)


def _cpu_us(work: Callable[[int], object], rounds: int) -> float:
    began = time.process_time()
    for number in range(rounds):
        work(number)
    return (time.process_time() - began) / rounds * 1e6


def _wall_ms(work: Callable[[int], object], rounds: int, before: Callable[[int], object] = lambda _: None) -> float:
    took = []
    for number in range(rounds):
        before(number)
        began = time.perf_counter()
        work(number)
        took.append(time.perf_counter() - began)
    return statistics.median(took) * 1000


def as_rows(found: Operations) -> Mapping[str, str]:
    """Operations for people."""
    return {
        "a look at a canary, with its verdict": f"{found.look_ms:.2f} ms",
        f"a router's tally of {_TALLIED}": f"{found.tally_ms:.2f} ms",
        "a router's beat": f"{found.beat_ms:.2f} ms",
        "usage of one tenant, route and model": f"{found.usage_ms:.2f} ms",
        "a replica's report": f"{found.report_ms:.2f} ms",
        "a lease": f"{found.lease_ms:.2f} ms",
        "whether there is anything new": f"{found.generation_ms:.2f} ms",
        "a snapshot, an adapter": f"{found.snapshot_us:.0f} µs",
    }
