"""The tables that attacks and faults print: for a terminal, and for a page of the documents, between two markers."""

from collections.abc import Mapping, Sequence

from rich.table import Table

Rows = Mapping[str, Sequence[object]]


def for_terminal(title: str, columns: Sequence[str], rows: Rows) -> Table:
    """A table with a row for each of `rows`, by its name; the first of `columns` is of the names."""
    table = Table(title=title)
    for place, name in enumerate(columns):
        table.add_column(name, justify="right" if place else "left")
    for name, cells in rows.items():
        table.add_row(name, *map(str, cells))
    return table


def for_page(columns: Sequence[str], rows: Rows, summary: str) -> str:
    """The same in Markdown, `summary` below it."""
    lines = [f"| {' | '.join(columns)} |", "|---|" + "---:|" * (len(columns) - 1)]
    lines += [f"| {name} | {' | '.join(map(str, cells))} |" for name, cells in rows.items()]
    return "\n".join([*lines, "", summary])


def put_into_page(page: str, name: str, text: str) -> str:
    """Puts `text` between the two markers called `name`, and returns the page. Raises ValueError where it has none."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    head, _, rest = page.partition(begin)
    _, found, tail = rest.partition(end)
    if not found:
        raise ValueError(f"the page has no {begin} … {end}")
    return f"{head}{begin}\n{text}\n{end}{tail}"
