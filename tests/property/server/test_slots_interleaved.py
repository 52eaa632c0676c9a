"""Any interleaving of requests, cancellations, removals and declarations keeps what slots promise."""

import asyncio
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from patchbay.core.errors import RequestError
from patchbay.server.metrics import ServerMetrics
from patchbay.server.slots import Slots
from patchbay.server.staging import StagedAdapter
from tests.fakes.adapter_folder import write_adapter
from tests.fakes.artifacts import staged
from tests.fakes.lora_engine import FakeLoraEngine

NAMES = ("a", "b", "c", "d", "e")
Step = tuple[str, str, int]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["use", "use", "use", "cancel", "remove", "declare"]), st.sampled_from(NAMES), st.integers(0, 3)
    ),
    min_size=1,
    max_size=40,
)


class Scenario:
    """Runs steps against slots over a fake engine that asserts its own rules on every call."""

    def __init__(self, staged: dict[str, StagedAdapter]) -> None:
        self.engine = FakeLoraEngine(slots=1, cpu=2)
        self.slots = Slots(self.engine, wait_s=0.001, metrics=ServerMetrics())
        self.staged = staged
        self.tasks: list[asyncio.Task[None]] = []

    async def run(self, steps: list[Step]) -> None:
        for action, name, pauses in steps:
            self._step(action, name)
            for _ in range(pauses):
                await asyncio.sleep(0)
            self._check()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        owned = [task for entry in self.slots.entries for task in (entry.loading, entry.removal) if task]
        await asyncio.gather(*owned, return_exceptions=True)
        self._check_quiet()

    def _step(self, action: str, name: str) -> None:
        if action == "declare":
            self._declare(name)
        elif action == "cancel" and self.tasks:
            self.tasks[len(name) * 7 % len(self.tasks)].cancel()
        else:
            job = self._remove(name) if action == "remove" else self._use(name)
            self.tasks.append(asyncio.create_task(job))

    def _declare(self, name: str) -> None:
        try:
            self.slots.declare(name, 1, self.staged[name])
        except RequestError:
            return

    async def _use(self, name: str) -> None:
        try:
            entry = self.slots.find(name)
            async with self.slots.hold(entry) as lora:
                self.engine.busy[lora.name] += 1
                try:
                    await asyncio.sleep(0)
                    assert self.engine.loaded[lora.lora_id] == lora, "held, but not in the engine"
                finally:
                    self.engine.busy[lora.name] -= 1
        except RequestError:
            return

    async def _remove(self, name: str) -> None:
        try:
            await self.slots.remove(self.slots.find(name))
        except RequestError:
            return

    def _check(self) -> None:
        held = {entry.lora.lora_id for entry in self.slots.entries if entry.lora}
        assert len(self.engine.loaded) <= self.engine.capacity.cpu
        assert all(entry.references >= 0 for entry in self.slots.entries)
        assert held <= set(self.engine.ids_seen)

    def _check_quiet(self) -> None:
        failures = [task.exception() for task in self.tasks if not task.cancelled() and task.exception()]
        assert not failures, failures
        held = {entry.lora.lora_id for entry in self.slots.entries if entry.lora}
        assert held == set(self.engine.loaded), "the table and the engine disagree"
        assert all(entry.references == 0 for entry in self.slots.entries)
        assert not any(entry.leaving for entry in self.slots.entries)


@given(steps=STEPS)
@settings(max_examples=150, deadline=None)
def test_slots_never_break_the_engines_rules_and_end_in_agreement_with_it(steps: list[Step]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        known = {name: staged(write_adapter(Path(folder) / name)) for name in NAMES}
        asyncio.run(Scenario(known).run([("declare", name, 0) for name in NAMES] + steps))
