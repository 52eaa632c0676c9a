"""A bar of progress that shows itself only where work takes long."""

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class LateBar:
    """A bar on standard error. `total`: what is all of it, None where that is not known; `after_s`: seconds after which
    it shows itself; `silent`: whether it never does."""

    def __init__(self, what: str, total: int | None, *, after_s: float, silent: bool) -> None:
        self._what = what
        self._total = total
        self._from = time.monotonic() + after_s
        self._silent = silent
        self._done = 0
        self._bar: tuple[Progress, TaskID] | None = None

    def advance(self, count: int) -> None:
        """Notes that `count` more are done."""
        self._done += count
        if self._bar is None and not self._silent and time.monotonic() >= self._from:
            self._begin()
        if self._bar is not None:
            progress, task = self._bar
            progress.update(task, completed=self._done)

    def stop(self) -> None:
        """Takes the bar away."""
        if self._bar is not None:
            self._bar[0].stop()

    def _begin(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        progress = Progress(*columns, console=Console(stderr=True), transient=True)
        progress.start()
        self._bar = progress, progress.add_task(self._what, total=self._total)
