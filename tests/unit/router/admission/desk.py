"""Admission over replicas that a test changes, on a loop whose clock jumps."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

from patchbay.core.replica import BaseModelStatus, ReplicaStatus, RequestStatus, SlotStatus
from patchbay.router.admission.admission import Admission, AdmissionRequest, Turn
from patchbay.router.admission.config import AdmissionConfig
from patchbay.router.admission.scheduler import Waiting
from patchbay.router.fleet.snapshot import Replica
from tests.fakes.timeless import timeless
from tests.unit.router.build import ours


def status(most: int | None = None, slots: int = 4) -> ReplicaStatus:
    return ReplicaStatus(
        replica="r",
        phase="ready",
        base=BaseModelStatus(name="base", source="hub/base", quantization=None, max_model_len=100),
        tasks=("generate",),
        revisions=(),
        slots=SlotStatus(slots=slots, slots_used=0, cpu=8, cpu_used=0),
        requests=RequestStatus(running=0, waiting=0, kv_cache_use=0.0, most=most),
    )


@dataclass
class Desk:
    """Admission over replicas that a test changes. `banned`: those that may not be asked now."""

    config: AdmissionConfig = field(default_factory=AdmissionConfig)
    replicas: Sequence[Replica] = (ours("r"),)
    statuses: dict[str, ReplicaStatus] = field(default_factory=lambda: {"r": status(most=1)})
    hold_s: float = 2.0
    banned: set[str] = field(default_factory=set)
    serving: tuple[str, ...] = ("r",)

    def __post_init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.began_s = self.loop.time()
        self.admission = Admission(
            config=self.config,
            replicas=lambda: self.replicas,
            statuses=self.statuses,
            clock=self.loop.time,
            hold_s=self.hold_s,
        )

    @property
    def passed_s(self) -> float:
        return round(self.loop.time() - self.began_s, 6)

    def request(self, tenant: str = "t", revision: str | None = None, most: int = 9) -> AdmissionRequest:
        waiting = Waiting(tenant=tenant, revision=revision, replicas=self.serving, cost=10, since_s=self.loop.time())
        return AdmissionRequest(waiting=waiting, max_waiting=most, pick=self._pick, where=lambda: self.serving)

    async def enter(self, tenant: str = "t", revision: str | None = None, most: int = 9) -> Turn:
        return await self.admission.enter(self.request(tenant, revision, most))

    def queue(self, tenant: str = "t", revision: str | None = None) -> "asyncio.Task[Turn]":
        return asyncio.create_task(self.enter(tenant, revision))

    def _pick(self, places: Sequence[str]) -> str | None:
        return next((name for name in places if name not in self.banned), None)


async def settled() -> None:
    """Lets everything run that can, and no time pass."""
    for _ in range(6):
        await asyncio.sleep(0)


Test = Callable[[], Coroutine[Any, Any, None]]


def on_a_timeless_loop(test: Test) -> Callable[[], None]:
    """Makes a plain test of a coroutine."""

    def run() -> None:
        timeless(test)

    run.__name__ = test.__name__
    return run
