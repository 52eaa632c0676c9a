"""The reporter for terminals: coloured lines, and a table of the processes' phases until all are ready."""

from collections.abc import Sequence
from time import monotonic
from typing import Final

from rich.ansi import AnsiDecoder
from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from patchbay.launch.events import Event, Failed, Progress, Ready, Restarted, Restarting, Serving, Starting, Stopping
from patchbay.launch.reporters import OURS

_STYLES: Final = ("cyan", "magenta", "green", "yellow", "blue")


class TerminalReporter:
    """A reporter that prints to `console`. `names`: the processes' names."""

    def __init__(self, console: Console, names: Sequence[str]) -> None:
        self._console = console
        self._decoder = AnsiDecoder()
        self._width = max(len(name) for name in (*names, OURS))
        self._styles = {name: _STYLES[index % len(_STYLES)] for index, name in enumerate(names)}
        self._table = StartTable(console, names)

    def lines(self, process: str, lines: Sequence[str]) -> None:
        """Prints `lines` with their colours, without other control sequences, and without reading markup in them."""
        for line in lines:
            self._print(process, self._decoder.decode_line(line))

    def event(self, event: Event) -> None:
        """Prints `event` in words, or shows it in the table."""
        self._table.note(event)
        if not isinstance(event, Progress) and (text := event.sentence()):
            self._print(OURS, Text(text, style=_style(event)))

    def _print(self, process: str, line: Text) -> None:
        prefix = Text(f"{process:<{self._width}} │ ", style=self._styles.get(process, "bold"))
        self._console.print(prefix + line, soft_wrap=True, highlight=False)


class StartTable:
    """A table below the log, with a row for each process, shown from the first start until all are ready."""

    def __init__(self, console: Console, names: Sequence[str]) -> None:
        self._rows = {name: StartRow(name) for name in names}
        self._live = Live(
            console=console, get_renderable=self._render, transient=True, auto_refresh=True, refresh_per_second=8
        )
        self._over = False

    def note(self, event: Event) -> None:
        """Updates the table with an event, and removes it for good once all are ready, stop or fail."""
        if isinstance(event, Serving | Stopping | Failed):
            self._over = True
            self._live.stop()
        elif not self._over:
            self._update(event)

    def _update(self, event: Event) -> None:
        match event:
            case Starting(process):
                self._rows[process] = StartRow(process)
                self._live.start()
            case Progress(process):
                self._rows[process].activity = event.activity
            case Ready(process, after_s):
                self._rows[process].ready_after_s = after_s
            case Restarting(process, how, delay_s):
                self._rows[process].activity = f"{how}; starting it again in {delay_s:g} s"
            case _:
                pass

    def _render(self) -> Table:
        table = Table.grid(padding=(0, 2))
        for row in list(self._rows.values()):
            table.add_row(*row.cells())
        return table


class StartRow:
    """The table's row for one process: its activity, and the time since its start."""

    def __init__(self, name: str) -> None:
        self.activity = "starting"
        self.ready_after_s: float | None = None
        self._name = name
        self._started = monotonic()
        self._spinner = Spinner("dots", style="cyan")

    def cells(self) -> tuple[Spinner | str, str, Text, str]:
        """Returns the row's cells: a mark, the name, the phase, and the seconds since the start."""
        if self.ready_after_s is not None:
            return "✓", self._name, Text("ready", style="green"), f"{self.ready_after_s:.0f} s"
        return self._spinner, self._name, Text(self.activity), f"{monotonic() - self._started:.0f} s"


def _style(event: Event) -> str:
    match event:
        case Ready() | Restarted():
            return "green"
        case Restarting():
            return "yellow"
        case Failed():
            return "red"
        case _:
            return ""
