"""The keeper of one process: starts it, waits until it is ready, watches its health, restarts it, ends it."""

import asyncio
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from patchbay.core.errors import ConfigError, PatchbayError, StartError
from patchbay.launch.backoff import Backoff
from patchbay.launch.child import Child, ProcessSpec
from patchbay.launch.descendants import Descendants
from patchbay.launch.events import (
    Progress,
    Ready,
    Restarted,
    Restarting,
    Starting,
    Stopped,
    Stopping,
    Unhealthy,
    exit_text,
)
from patchbay.launch.health import HealthLimits, HealthWatch
from patchbay.launch.output import Output
from patchbay.launch.readiness import Readiness, ReadinessProbe

_READINESS_INTERVAL_S: Final = 0.25
_HEALTH_INTERVAL_S: Final = 1.0
_UNREADY_STOP_S: Final = 5.0
_CONFIG_ERROR_CODE: Final = 2
_OUT_OF_MEMORY_HINT: Final = "If nobody sent that, the system ran out of memory: try a smaller base or KV cache."


@dataclass(frozen=True, slots=True)
class KeeperContext:
    """The objects that all keepers of a run share. `clock`: seconds, monotonic."""

    output: Output
    probe: ReadinessProbe
    descendants: Descendants
    clock: Callable[[], float] = time.monotonic


@dataclass(frozen=True, slots=True)
class _Exit:
    """The end of a process: its exit code, its last error line, and the number of processes that it left behind."""

    code: int
    last_error: str | None
    left_behind: int


class Keeper:
    """The keeper of the process of `spec`, which runs until `stop`.

    `on_failure` is called, once at most, where the process cannot be started at all; `run` then returns. `was_ready` is
    set when the process is ready for the first time.
    """

    def __init__(self, spec: ProcessSpec, context: KeeperContext, on_failure: Callable[[PatchbayError], None]) -> None:
        self.spec = spec
        self.was_ready = asyncio.Event()
        self._context = context
        self._on_failure = on_failure
        self._backoff = Backoff(spec.restart, context.clock)
        self._child: Child | None = None
        self._attempts = 0
        self._ready = False
        self._too_slow = False
        self._unhealthy: str | None = None
        self._stopping = asyncio.Event()
        self._ended = asyncio.Event()

    async def run(self) -> None:
        """Starts the process, again and again, until it is stopped or cannot be started."""
        try:
            while not self._stopping.is_set():
                try:
                    outcome = await self._run_once()
                except OSError as error:
                    self._on_failure(StartError(f"Cannot execute {self.spec.argv[0]}: {error.strerror}."))
                    return
                if self._stopping.is_set():
                    return
                if failure := self._failure(outcome):
                    self._on_failure(failure)
                    return
                await self._wait_to_restart(outcome)
        finally:
            self._ended.set()

    async def stop(self, forced: asyncio.Event) -> None:
        """Asks the process to end, and kills it at its deadline, or as soon as `forced` is set."""
        self._stopping.set()
        child = self._child
        if child is None:
            await self._ended.wait()
            return
        deadline_s = self.spec.stop_timeout_s if self._ready else min(self.spec.stop_timeout_s, _UNREADY_STOP_S)
        self._context.output.show(Stopping(self.spec.name, deadline_s))
        child.terminate()
        killed = not await self._ended_within(deadline_s, forced)
        if killed:
            child.kill()
            await self._ended.wait()
        self._context.output.show(Stopped(self.spec.name, killed))

    async def _run_once(self) -> _Exit:
        """Runs the process once, to its end. Raises OSError where it cannot be executed."""
        self._attempts += 1
        self._ready = self._too_slow = False
        self._unhealthy = None
        self._child = child = await Child.start(self.spec, self._context.descendants)
        self._context.output.show(Starting(self.spec.name, child.pid, self._attempts))
        # `stop` may have come while the child was being started, and then found none to end.
        if self._stopping.is_set():
            child.kill()
        async with asyncio.TaskGroup() as tasks:
            child.pass_on_output(self._context.output.lines, tasks)
            probing = tasks.create_task(self._probe(child))
            exit_code = await child.wait()
            probing.cancel()
            # In this order: what the child left behind may hold its pipes open.
            left_behind = await self._context.descendants.end_left_by(child.pid)
            await child.rest_of_output()
        self._child = None
        return _Exit(exit_code, child.last_error(), left_behind)

    async def _probe(self, child: Child) -> None:
        await self._wait_until_ready(child)
        if self._ready and self.spec.health_url is not None:
            await self._watch_health(child, self.spec.health_url)

    async def _watch_health(self, child: Child, url: str) -> None:
        """Kills the process where its health requires it, unless it was asked to end: then only its deadline counts."""
        watch = HealthWatch(HealthLimits(self.spec.restart.silent_s, self.spec.restart.dead_s))
        while not self._stopping.is_set():
            await asyncio.sleep(_HEALTH_INTERVAL_S)
            why = watch.observe(await self._context.probe.ask_health(url), self._context.clock())
            if why is not None and not self._stopping.is_set():
                self._unhealthy = why
                self._context.output.show(Unhealthy(self.spec.name, why))
                child.kill()
                return

    async def _wait_until_ready(self, child: Child) -> None:
        """Reports the phases of the start until the process is ready, or kills it where that takes too long."""
        started, reported = self._context.clock(), Readiness(ready=False)
        while not (now := await self._context.probe.ask(self.spec.ready_url)).ready:
            elapsed = self._context.clock() - started
            if elapsed > self.spec.start_timeout_s:
                self._too_slow = True
                child.kill()
                return
            if now != reported:
                reported = now
                self._context.output.show(Progress(self.spec.name, now.phase, now.detail, elapsed))
            await asyncio.sleep(_READINESS_INTERVAL_S)
        self._became_ready(self._context.clock() - started)

    def _became_ready(self, after_s: float) -> None:
        self._ready = True
        self._backoff.became_ready()
        again = self.was_ready.is_set()
        self._context.output.show(Restarted(self.spec.name, after_s) if again else Ready(self.spec.name, after_s))
        self.was_ready.set()

    def _failure(self, outcome: _Exit) -> PatchbayError | None:
        """Returns why a restart would be of no use, else None. A process that was ready once is always restarted."""
        if self.was_ready.is_set():
            return None
        if self._too_slow:
            return StartError(
                f"{self.spec.name} was not ready after {self.spec.start_timeout_s:g} s.",
                hint="If that is just its time, raise replicas.start_timeout_s.",
            )
        if outcome.code >= 0:
            kind = ConfigError if outcome.code == _CONFIG_ERROR_CODE else StartError
            return kind(f"{self.spec.name}: {outcome.last_error or exit_text(outcome.code)}")
        if self._attempts >= self.spec.restart.start_attempts:
            return StartError(
                f"{self.spec.name} {exit_text(outcome.code)} before it was ready, {self._attempts} times in a row.",
                hint=_OUT_OF_MEMORY_HINT if outcome.code == -signal.SIGKILL else None,
            )
        return None

    async def _wait_to_restart(self, outcome: _Exit) -> None:
        delay_s = self._backoff.delay_after_exit()
        how = "did not get ready in time" if self._too_slow else self._unhealthy or exit_text(outcome.code)
        self._context.output.show(Restarting(self.spec.name, how, delay_s, outcome.left_behind))
        try:
            await asyncio.wait_for(self._stopping.wait(), delay_s)
        except TimeoutError:
            return

    async def _ended_within(self, seconds: float, forced: asyncio.Event) -> bool:
        """Waits for the process to end by itself. Returns whether it did so within `seconds` and before `forced`."""
        waits = {asyncio.create_task(self._ended.wait()), asyncio.create_task(forced.wait())}
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        return self._ended.is_set()
