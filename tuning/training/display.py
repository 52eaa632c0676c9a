"""The view of a run in a terminal: a bar with loss, speed and time left, a small curve, and what the watch says."""

import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from types import TracebackType
from typing import Any, Final, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from patchbay.tuning.training.plot import smoothed
from patchbay.tuning.training.process import Event

_BARS: Final = "▁▂▃▄▅▆▇█"
_WIDTH: Final = 60
_PER_SECOND: Final = 4


def curve(values: Sequence[float], width: int = _WIDTH) -> str:
    """Draws `values` as a line of blocks, at most `width` of them, each the mean of its share."""
    if not values:
        return ""
    count = min(width, len(values))
    edges = [round(place * len(values) / count) for place in range(count + 1)]
    means = [sum(values[a:b]) / (b - a) for a, b in pairwise(edges)]
    low, high = min(means), max(means)
    span = (high - low) or 1.0
    return "".join(_BARS[round((mean - low) / span * (len(_BARS) - 1))] for mean in means)


def duration(seconds: float) -> str:
    """Formats a time in the unit that suits."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


class RunProgress:
    """The state of a run as its events tell it. `tokens`: of an average step, 0 where it is not known yet."""

    def __init__(self, rows_of_a_step: int) -> None:
        self.step, self.steps, self.first = 0, 0, 0
        self.losses: list[float] = []
        self.notes: dict[str, float] = {}
        self.warnings: list[str] = []
        self.stage = "starting"
        self.tokens = 0.0
        self._rows_of_a_step = rows_of_a_step
        self._began: float | None = None

    def take(self, event: Event, at: float) -> None:
        """Takes an event that came at the time `at`, in seconds."""
        taken: dict[str, Callable[[Event, float], None]] = {
            "began": self._begin,
            "step": self._step,
            "rows": self._rows,
            "evaluation": self._evaluated,
        }
        kind = event["event"]
        if kind in taken:
            taken[kind](event, at)
        elif kind == "warning":
            self.warnings.append(event["words"])
        elif kind in ("loading", "saving"):
            self.stage = kind

    def left(self, at: float) -> float | None:
        """Returns the seconds that are left, by the steps until now; None before there are any."""
        done = self.step - self.first
        return None if self._began is None or not done else (at - self._began) / done * (self.steps - self.step)

    def tokens_a_second(self, at: float) -> float | None:
        """Returns the tokens that were read a second, None before there are any."""
        done = self.step - self.first
        return None if self._began is None or not done else self.tokens * done / max(1e-6, at - self._began)

    def _begin(self, event: Event, at: float) -> None:
        self.step = self.first = event["step"]
        self.steps, self.stage, self._began = event["steps"], "training", at
        self.tokens *= event.get("processes", 1)

    def _rows(self, event: Event, _at: float) -> None:
        self.tokens = event["tokens"] / max(1, event["train"]) * self._rows_of_a_step

    def _step(self, event: Event, _at: float) -> None:
        self.step = event["step"]
        if event.get("loss") is not None:
            self.losses.append(event["loss"])

    def _evaluated(self, event: Event, _at: float) -> None:
        self.notes |= {key: event[key] for key in ("validation", "general") if event.get(key) is not None}


class Display:
    """The live view of a run on a console, while its `with` block runs; off a terminal, a line for each evaluation."""

    def __init__(self, console: Console, name: str, progress: RunProgress) -> None:
        self._console = console
        self._name = name
        self._progress = progress
        self._live = Live(console=console, refresh_per_second=_PER_SECOND, transient=False)

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def take(self, event: Event) -> None:
        """Shows an event."""
        at = time.monotonic()
        self._progress.take(event, at)
        if self._console.is_terminal:
            self._live.update(self.view(at))
        elif event["event"] in ("evaluation", "warning", "saving", "began"):
            self._console.print(self._line(event), markup=False, highlight=False, soft_wrap=True)

    def view(self, at: float) -> RenderableType:
        """Draws the run as it stands at the time `at`."""
        progress = self._progress
        head = Table.grid(padding=(0, 2))
        bar = ProgressBar(total=progress.steps or None, completed=progress.step, width=30, pulse=not progress.steps)
        head.add_row(Text(self._name, style="bold"), bar, f"{progress.step}/{progress.steps}")
        lines: list[RenderableType] = [head, Text(self._facts(at))]
        if progress.losses:
            lines.append(Text(curve(smoothed(progress.losses)), style="cyan"))
        lines += [Text(f"! {words}", style="yellow") for words in progress.warnings]
        return Group(*lines)

    def _facts(self, at: float) -> str:
        progress = self._progress
        facts = [] if progress.stage == "training" else [progress.stage]
        if progress.losses:
            facts.append(f"loss {smoothed(progress.losses)[-1]:.3f}")
        facts += [f"{name} {value:.3f}" for name, value in progress.notes.items()]
        if (speed := progress.tokens_a_second(at)) is not None:
            facts.append(f"{speed:,.0f} tokens/s")
        if (left := progress.left(at)) is not None:
            facts.append(f"{duration(left)} left")
        return "  ".join(facts)

    def _line(self, event: Event) -> str:
        if event["event"] == "warning":
            return f"! {event['words']}"
        return f"{self._name}: step {self._progress.step}/{self._progress.steps}  {self._facts(time.monotonic())}"


def shown(value: Any) -> str:
    """Formats one fact of a record for a table."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
