"""The command `patchbay usage`: requests, tokens and cost of tenants."""

import csv
import sys
from collections import defaultdict
from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from patchbay.adapters.commands.output import console, print_json, table
from patchbay.adapters.commands.session import AsJson, Config, opened
from patchbay.core.money import decimal, plain

if TYPE_CHECKING:
    from patchbay.registry.records import UsageRow

_COUNTS = ("requests", "failed", "prompt_tokens", "answer_tokens", "billionths")
_SHOWN = (*_COUNTS[:-1], "cost")
_KEYS = {
    "tenant": ("tenant",),
    "route": ("tenant", "route"),
    "model": ("tenant", "route", "model"),
    "hour": ("hour", "tenant", "route", "model"),
}


def usage(
    tenant: Annotated[str | None, typer.Argument(help="Only this tenant's usage.")] = None,
    days: Annotated[float, typer.Option(min=0, help="Days to look back.")] = 30,
    by: Annotated[Literal["tenant", "route", "model", "hour"], typer.Option(help="Sum up by this.")] = "model",
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Shows requests, tokens and cost, by tenant, route and model.

    Example: patchbay usage acme --days 7 --by hour --csv
    """
    from patchbay.registry.times import utc_now

    with opened(config) as session:
        session.check_tenant(tenant)
        rows = session.registry.accounts.usage(since=utc_now() - timedelta(days=days), tenant=tenant)
    found = _summed(rows, _KEYS[by])
    columns = (*_KEYS[by], *_SHOWN)
    if as_json:
        print_json([dict(zip(columns, (*row[:-1], float(decimal(row[-1]))), strict=True)) for row in found])
    elif as_csv:
        csv.writer(sys.stdout).writerows([columns, *((*row[:-1], plain(row[-1])) for row in found)])
    else:
        console().print(table("", [column.replace("_", " ") for column in columns], [_pretty(row) for row in found]))


def _summed(rows: Iterable["UsageRow"], keys: tuple[str, ...]) -> list[tuple[Any, ...]]:
    """Sums by `keys`; the last of each is money, in billionths."""
    sums: dict[tuple[object, ...], list[int]] = defaultdict(lambda: [0] * len(_COUNTS))
    for row in rows:
        name = tuple(row.hour.isoformat() if key == "hour" else getattr(row, key) for key in keys)
        sums[name] = [total + getattr(row, count) for total, count in zip(sums[name], _COUNTS, strict=True)]
    return [(*name, *totals) for name, totals in sorted(sums.items())]


def _pretty(row: tuple[Any, ...]) -> list[str]:
    *counts, billionths = row
    shown = (f"{count:,}" if isinstance(count, int) else str(count) for count in counts)
    return [*shown, f"{decimal(billionths):,.4f}"]
