"""The supervisor of a router and its replicas: starts all, keeps them running, and ends them in order."""

import asyncio
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from patchbay.core.errors import PatchbayError, StartError
from patchbay.launch.child import ProcessSpec
from patchbay.launch.descendants import Descendants
from patchbay.launch.events import Note, ReadyReport, Serving
from patchbay.launch.keeper import Keeper, KeeperContext
from patchbay.launch.output import Output, Reporter
from patchbay.launch.readiness import ReadinessProbe


@dataclass(frozen=True, slots=True)
class RunPlan:
    """The plan of a run: `processes` to start, `report` for when all are ready, `notes` to show before the start.

    `look`: completes the report by what is so once all are ready. It blocks, and raises StartError where nothing of
    what the run is for can be served.
    """

    processes: tuple[ProcessSpec, ...]
    report: ReadyReport
    notes: tuple[str, ...] = ()
    look: Callable[[ReadyReport], ReadyReport] = lambda report: report


class StopRequests:
    """The signals to this process: the first asks for an orderly end, another one for an immediate end."""

    def __init__(self) -> None:
        self.requested = asyncio.Event()
        self.forced = asyncio.Event()

    def add(self) -> None:
        """Counts one signal."""
        if self.requested.is_set():
            self.forced.set()
        self.requested.set()

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Counts SIGINT, SIGTERM and, unless `nohup` had it ignored, SIGHUP while in the block."""
        loop = asyncio.get_running_loop()
        hang_up = [] if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else [signal.SIGHUP]
        numbers = [signal.SIGINT, signal.SIGTERM, *hang_up]
        for number in numbers:
            loop.add_signal_handler(number, self.add)
        try:
            yield
        finally:
            for number in numbers:
                loop.remove_signal_handler(number)


async def supervise(plan: RunPlan, reporter: Reporter, on_ready: Callable[[ReadyReport], None]) -> bool:
    """Runs `plan` until a signal ends it, and returns whether the end was forced by a second one.

    `on_ready` is called, from another thread, when every process has been ready. Raises StartError, or ConfigError,
    where a process cannot be started; all others have ended then, too.
    """
    stop = StopRequests()
    descendants = Descendants()
    with stop.listening():
        try:
            async with ReadinessProbe.open() as probe:
                context = KeeperContext(Output(reporter), probe, descendants)
                return await Supervisor(plan, context, stop).run(on_ready)
        finally:
            descendants.kill_all()


class Supervisor:
    """The supervision of one run: a keeper for each process, and the order of their end."""

    def __init__(self, plan: RunPlan, context: KeeperContext, stop: StopRequests) -> None:
        self._plan = plan
        self._context = context
        self._stop = stop
        self._failures: asyncio.Queue[PatchbayError] = asyncio.Queue()
        self._keepers = [Keeper(spec, context, self._failures.put_nowait) for spec in plan.processes]

    async def run(self, on_ready: Callable[[ReadyReport], None]) -> bool:
        """Runs everything to its end, and returns whether that was forced. Raises what `supervise` does."""
        output = self._context.output
        async with asyncio.TaskGroup() as tasks:
            reporting = tasks.create_task(output.run())
            scanning = tasks.create_task(self._context.descendants.keep_looking())
            for note in self._plan.notes:
                output.show(Note(note))
            for keeper in self._keepers:
                tasks.create_task(keeper.run())
            announcing = tasks.create_task(self._announce(on_ready))
            failure = await self._until_signal_or_failure()
            announcing.cancel()
            # From now on a signal forces the end, even where a failure began it.
            self._stop.requested.set()
            await self._end()
            scanning.cancel()
            await output.flush()
            reporting.cancel()
        if failure is not None:
            raise failure
        return self._stop.forced.is_set()

    async def _announce(self, on_ready: Callable[[ReadyReport], None]) -> None:
        started = time.monotonic()
        for keeper in self._keepers:
            await keeper.was_ready.wait()
        report = replace(self._plan.report, after_s=time.monotonic() - started)
        try:
            report = await asyncio.to_thread(self._plan.look, report)
        except StartError as error:
            self._failures.put_nowait(error)
            return
        self._context.output.show(Serving(report))
        self._context.output.call(lambda: on_ready(report))

    async def _until_signal_or_failure(self) -> PatchbayError | None:
        """Waits for the first signal or the first failure. Returns the failure, or None."""
        failing = asyncio.create_task(self._failures.get())
        stopping = asyncio.create_task(self._stop.requested.wait())
        done, waiting = await asyncio.wait({failing, stopping}, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()
        return failing.result() if failing in done else None

    async def _end(self) -> None:
        """Ends the router, which drains its requests on the replicas, and then all replicas at once."""
        for role in ("router", "replica"):
            keepers = [keeper for keeper in self._keepers if keeper.spec.role == role]
            await asyncio.gather(*(keeper.stop(self._stop.forced) for keeper in keepers))
