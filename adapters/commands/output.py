"""Output of the commands: JSON for programs, tables for people, progress on standard error."""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def print_json(value: Any) -> None:
    """Prints `value`, with all records in it, as one JSON document."""
    sys.stdout.write(json.dumps(_plain(value), indent=2, ensure_ascii=False) + "\n")


def print_json_line(value: Any) -> None:
    """Prints `value` as one JSON document on one line, at once, for programs that read a series of them."""
    sys.stdout.write(json.dumps(_plain(value), ensure_ascii=False) + "\n")
    sys.stdout.flush()


def _plain(value: Any) -> Any:
    from pydantic import TypeAdapter
    from pydantic_core import to_jsonable_python

    plain = TypeAdapter(Any).dump_python(value, mode="json", serialize_as_any=True, fallback=dict)
    return to_jsonable_python(plain, fallback=str)


def console() -> "Console":
    """Returns the console of standard output: as wide as the terminal, and at least 100 columns off a terminal."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 100, highlight=False, soft_wrap=False)


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> "RenderableType":
    """Makes a table. None is shown as a dash."""
    from rich import box
    from rich.console import Group
    from rich.table import Table

    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in columns:
        right = column in ("rank", "size", "number", "router", "hits") or column.endswith("_s")
        made.add_column(column, overflow="fold", justify="right" if right and column != "router" else "left")
    for row in rows:
        made.add_row(*("-" if value is None else str(value) for value in row))
    return Group(f"\n[bold]{title}[/bold]", made) if title else made


def facts(values: Mapping[str, object]) -> "RenderableType":
    """Makes a list of names and values, one a line, without empty values."""
    from rich.table import Table

    made = Table(box=None, show_header=False, pad_edge=False)
    made.add_column(style="dim")
    made.add_column(overflow="fold")
    for name, value in values.items():
        if value not in (None, "", (), {}):
            made.add_row(name, str(value))
    return made


def size(count: int) -> str:
    """Formats `count` bytes, in the unit that suits."""
    value = float(count)
    for unit in _UNITS:
        if value < 1024 or unit == _UNITS[-1]:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    raise AssertionError("the last unit takes all")


def moment(at: datetime | None) -> str | None:
    """Formats a time in this machine's time zone, to the minute."""
    return at.astimezone().strftime("%Y-%m-%d %H:%M") if at else None


@contextmanager
def activity(what: str) -> Iterator["Activity"]:
    """Shows on standard error, where that is a terminal, that something is under way. `what`: its name."""
    from rich.console import Console

    shown = Console(stderr=True, highlight=False)
    with shown.status(what) as status:
        yield Activity(status.update)


class Activity:
    """Shows the step of an activity."""

    def __init__(self, update: Any) -> None:
        self._update = update

    def tell(self, what: str) -> None:
        """Shows that the step `what` has begun."""
        self._update(what)
