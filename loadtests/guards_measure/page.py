"""The page docs/guards-measured.md, and the tables for a terminal."""

from collections.abc import Sequence
from typing import Final

from rich.table import Table

from loadtests.guards_measure.tables import FigureTable
from loadtests.tables import put_into_page

NAME: Final = "guards-measured"


def for_terminal(table: FigureTable) -> Table:
    """Makes a table for people."""
    made = Table(title=table.title)
    for place, column in enumerate(table.columns):
        made.add_column(column, justify="right" if place else "left")
    for row in table.rows:
        made.add_row(*(cell.strip("*") for cell in row))
    return made


def for_page(tables: Sequence[FigureTable], head: str, end: str) -> str:
    """Makes the part of the page that a run writes: what it was, the tables, and what misses its target."""
    parts = [head]
    for table in tables:
        lines = [f"### {table.title}", "", f"| {' | '.join(table.columns)} |"]
        lines.append("|---|" + "---:|" * (len(table.columns) - 1))
        lines += [f"| {' | '.join(row)} |" for row in table.rows]
        parts.append("\n".join(lines))
    return "\n\n".join([*parts, end])


def written(page: str, text: str) -> str:
    """Returns the page with `text` in place of the figures that it has. Raises ValueError where it has no place."""
    return put_into_page(page, NAME, text)
