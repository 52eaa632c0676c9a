"""The progress of long work: a small protocol, one sink that is silent and one for a terminal."""

from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn


class ProgressSink(Protocol):
    """The receiver of progress, one stage at a time: `start` it, `advance` it as often as its total says."""

    def start(self, stage: str, total: int) -> None:
        """Begins a new stage of `total` units. The one before it is over."""

    def advance(self, count: int = 1, *, note: str = "") -> None:
        """Counts `count` units of the stage as done."""


class Silent:
    """A sink that shows nothing."""

    def start(self, stage: str, total: int) -> None:
        """Ignores the stage."""

    def advance(self, count: int = 1, *, note: str = "") -> None:
        """Ignores the step."""


class RichProgress:
    """A sink that shows progress bars, one for each stage, while its `with` block runs."""

    def __init__(self, console: Console) -> None:
        self._bars = Progress(
            TextColumn("{task.description:<24}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}"),
            console=console,
        )
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def start(self, stage: str, total: int) -> None:
        """Shows a bar for the stage below those before it."""
        self._task = self._bars.add_task(stage, total=total, note="")

    def advance(self, count: int = 1, *, note: str = "") -> None:
        """Moves the current stage's bar."""
        if self._task is not None:
            self._bars.update(self._task, advance=count, note=note)
