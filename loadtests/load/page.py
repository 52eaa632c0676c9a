"""The report of a run: one page of HTML that needs nothing from anywhere, and JSON beside it."""

import json
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path

from loadtests.load.figures import Group, Sent, Spread
from loadtests.load.plots import plots, svg
from loadtests.load.running import Ran

_STYLE = """
body{font:15px/1.45 system-ui,sans-serif;color:#1e293b;max-width:1000px;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem;margin:0}h2{font-size:1.05rem;margin:2rem 0 .4rem}p{margin:.3rem 0}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{padding:.22rem .8rem .22rem 0;text-align:left;border-bottom:1px solid #e2e8f0}
th{font-weight:600;color:#475569}td.n,th.n{text-align:right}
.badge{display:inline-block;padding:.1rem .6rem;border-radius:.3rem;color:#fff;font-weight:600}
.met{background:#0f766e}.missed{background:#c2410c}
.tiles{display:flex;flex-wrap:wrap;gap:.6rem;margin:1rem 0}
.tile{border:1px solid #e2e8f0;border-radius:.4rem;padding:.5rem .9rem}.tile b{display:block;font-size:1.25rem}
.tile span{color:#64748b;font-size:.85rem}.note{color:#64748b;font-size:.9rem}
svg{max-width:100%;height:auto}.wide{overflow-x:auto}
"""
GROUP_HEADS = ("", "sent", "served", "refused", "failed", "tokens", "TTFT p50", "p95", "p99", "token p50", "p95")
COMPARED_HEADS = ("", "vLLM's benchmark", "this, from sending", "this, from when due")

Compared = Mapping[str, Sequence[float | None]]


def write(ran: Ran, folder: Path, compared: Compared | None = None) -> Path:
    """Writes `report.html` and `report.json` into `folder`; gives the page's path."""
    folder.mkdir(parents=True, exist_ok=True)
    document = ran.document() | {"compared": compared}
    (folder / "report.json").write_text(json.dumps(document, indent=1), encoding="utf-8")
    page = folder / "report.html"
    page.write_text(html(ran, compared), encoding="utf-8")
    return page


def html(ran: Ran, compared: Compared | None = None) -> str:
    """The page."""
    name, found = escape(ran.scenario.name), ran.figures
    parts = [
        f"<h1>{name} {_badge(ran.met)}</h1>",
        f"<p>{escape(ran.scenario.says)}</p>",
        f'<p class="note">{ran.began}, {ran.took_s:.0f} s. Times are counted from when a request was due, in an open '
        f"loop: arrivals do not wait for answers. The first {ran.scenario.warm_s:g} s (grey) are not counted.</p>",
        _tiles(ran),
        _section("Targets", _verdict(ran)),
        *(_section(title, svg(figure)) for title, figure in plots(ran.scenario, found, ttft_of(ran)).items()),
        _section("By adapter", _groups({"all": found.counted, **found.by_model})),
        *(_section(title, _groups(groups)) for title, groups in _others(ran).items() if groups),
        _section(
            "Errors and refusals", _table(("kind", "requests"), found.errors.items()) if found.errors else "None."
        ),
    ]
    if ran.canary is not None:
        shown = {key: value for key, value in ran.canary.items() if isinstance(value, (str, int, float))}
        parts.append(_section("The canary", _table(("", ""), shown.items())))
    if compared is not None:
        rows = [(name, *(number(value) for value in values)) for name, values in compared.items()]
        parts.append(_section("Beside vLLM's own serving benchmark", _table(COMPARED_HEADS, rows)))
    parts.append(_section("Measured with", _table(("", ""), ran.environment.items())))
    head = f'<meta charset="utf-8"><title>{name}</title><style>{_STYLE}</style>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{"".join(parts)}</body></html>\n'


def ttft_of(ran: Ran) -> dict[str, list[float]]:
    """Times to first token in seconds, counted both ways."""
    records = {record.number: record for record in ran.driven.records}
    sent = [Sent(planned, records[planned.number]) for planned in ran.planned if planned.due_s >= ran.scenario.warm_s]
    return {
        "from when due": [one.ttft_s for one in sent if one.ttft_s is not None],
        "from sending": [one.ttft_from_sending_s for one in sent if one.ttft_from_sending_s is not None],
    }


def _others(ran: Ran) -> dict[str, Mapping[str, Group]]:
    found = ran.figures
    revisions = found.by_revision if ran.canary is not None else {}
    cold = "By whether the adapter was asked for lately (as many as there are slots)"
    return {"By tenant": found.by_tenant, cold: found.cold, "By revision that answered": revisions}


def _tiles(ran: Ran) -> str:
    found, counted = ran.figures, ran.figures.counted
    tiles = {
        "requests counted": f"{counted.sent}",
        "served": f"{found.requests_per_s:.1f}/s",
        "tokens": f"{found.tokens_per_s:.0f}/s",
        "availability": f"{counted.availability:.2%}",
        "TTFT p95, ms": _ms(counted.ttft, "p95"),
        "per token p95, ms": _ms(counted.token_time, "p95"),
        "sent late by, p99, ms": _ms(found.lag, "p99"),
    }
    shown = "".join(f'<div class="tile"><b>{value}</b><span>{name}</span></div>' for name, value in tiles.items())
    return f'<div class="tiles">{shown}</div>'


def _verdict(ran: Ran) -> str:
    if not ran.judged:
        return "The scenario has none."
    rows = [
        (target.name, target.wanted, target.found or "nothing to measure", "met" if target.met else "missed")
        for target in ran.judged
    ]
    return _table(("target", "wanted", "found", ""), rows)


def _badge(met: bool) -> str:
    return f'<span class="badge {"met" if met else "missed"}">{"targets met" if met else "targets missed"}</span>'


def _groups(groups: Mapping[str, Group]) -> str:
    rows = [group_row(name, group) for name, group in groups.items()]
    if all(group.right is None for group in groups.values()):
        return _table(GROUP_HEADS, rows)
    shares = ("-" if group.right is None else f"{group.right:.1%}" for group in groups.values())
    return _table((*GROUP_HEADS, "right"), [(*row, share) for row, share in zip(rows, shares, strict=True)])


def group_row(name: str, group: Group) -> tuple[str, ...]:
    """A group's numbers, times in ms."""
    counts = (group.sent, group.answered + group.cancelled, group.refused, group.failed, group.tokens)
    first, each = group.ttft, group.token_time
    times = (_ms(first, "p50"), _ms(first, "p95"), _ms(first, "p99"), _ms(each, "p50"), _ms(each, "p95"))
    return (name, *map(str, counts), *times)


def _ms(spread: Spread | None, name: str) -> str:
    return "-" if spread is None else f"{1000 * getattr(spread, name):.1f}"


def number(value: float | None) -> str:
    """A number of a table; a dash where there is none."""
    return "-" if value is None else f"{value:,.1f}"


def _section(title: str, content: str) -> str:
    return f'<h2>{escape(title)}</h2><div class="wide">{content}</div>'


def _table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    def line(tag: str, cells: Sequence[object]) -> str:
        kinds = [' class="n"' if place and len(cells) > 4 else "" for place in range(len(cells))]
        return "".join(f"<{tag}{kind}>{escape(str(cell))}</{tag}>" for kind, cell in zip(kinds, cells, strict=True))

    head = f"<tr>{line('th', heads)}</tr>" if any(heads) else ""
    body = "".join(f"<tr>{line('td', row)}</tr>" for row in rows)
    return f"<table>{head}{body}</table>"
