"""The report of a check as one HTML page with plots, which needs nothing but itself."""

import html
import io
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from patchbay.core.distribution import translated_imports
from patchbay.tuning.data.findings import CHECKS, LEVELS, CheckReport, Level
from patchbay.tuning.data.report_text import verdict

_STYLE: Final = """
:root { color-scheme: light dark; --line: #8884; --error: #c0392b; --warning: #b7791f; --info: #5a6b7b; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: 0; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; } th, td { text-align: left; padding: .3rem .6rem; }
th, td { border-bottom: 1px solid var(--line); vertical-align: top; } td.n { text-align: right; }
.error { color: var(--error); font-weight: 600; } .warning { color: var(--warning); } .info { color: var(--info); }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(22rem, 1fr)); gap: 1rem; }
.plots figure { margin: 0; background: #fff; border-radius: 6px; padding: .5rem; } svg { width: 100%; height: auto; }
blockquote { margin: .2rem 0; padding-left: .7rem; border-left: 3px solid var(--line); overflow-wrap: anywhere; }
code { overflow-wrap: anywhere; }
"""
_BAR: Final = "#3b6ea5"
_LIMIT: Final = "#c0392b"
_COLOURS: Final[Mapping[Level, str]] = MappingProxyType({"error": "#c0392b", "warning": "#d9a441", "info": "#8a99a8"})
_MOST_BARS: Final = 12


def report_html(report: CheckReport) -> str:
    """Writes the report as HTML. No text in it holds what guards found. Raises ConfigError without matplotlib."""
    title = html.escape(f"Data report: {report.facts.name}")
    parts = [
        f"<!doctype html><html lang='en'><meta charset='utf-8'><title>{title}</title><style>{_STYLE}</style>",
        f"<h1>{title}</h1><p>{html.escape(verdict(report))}</p>",
        f"<p><code>{html.escape(report.facts.digest or 'not imported')}</code></p>",
        "<div class='plots'>",
        *(f"<figure>{plot}</figure>" for plot in plots(report)),
        "</div>",
        _checks(report),
        _worst(report),
        "</html>",
    ]
    return "\n".join(parts)


def plots(report: CheckReport) -> Iterator[str]:
    """Yields the plots of a report as SVG."""
    facts = report.facts
    found = {check: report.findings.of(check) for check in CHECKS if report.findings.of(check)}
    yield _histogram(facts.tokens or facts.characters, facts.max_tokens, "tokens" if facts.tokens else "characters")
    for title, counts in (
        ("findings", found),
        ("rows of each split", facts.rows),
        ("languages", facts.languages),
        ("answers", facts.answers),
        ("sources", facts.sources),
        ("found by guards", facts.found_kinds),
    ):
        # One bar says nothing that the summary does not.
        if len(counts) > 1 or (counts and title == "findings"):
            yield _bars(title, counts, report if title == "findings" else None)


def _histogram(values: Sequence[int], limit: int | None, what: str) -> str:
    with _axes(f"{what} of a row") as (figure, axes):
        axes.hist(values or [0], bins=min(40, max(5, len(set(values)))), color=_BAR)
        if limit is not None and values and max(values) * 3 > limit:
            axes.axvline(limit, color=_LIMIT, linestyle="--")
            axes.annotate(
                "the base's most", (limit, axes.get_ylim()[1]), ha="right", va="top", color=_LIMIT, fontsize=8
            )
        axes.set_xlabel(what)
        axes.set_ylabel("rows")
        return _svg(figure)


def _bars(title: str, counts: Mapping[str, int], report: CheckReport | None = None) -> str:
    """Draws bars. `report`: where they are its findings, whose colours are of their levels."""
    ordered = sorted(counts.items(), key=lambda item: -item[1])[:_MOST_BARS]
    colours = [_colour(name, report) for name, _ in ordered]
    with _axes(title, 1.0 + 0.26 * max(3, len(ordered))) as (figure, axes):
        names = [name if len(name) <= 24 else f"{name[:23]}…" for name, _ in ordered]
        places = range(len(ordered))
        bars = axes.barh(places, [count for _, count in ordered], color=colours, height=0.7)
        axes.xaxis.get_major_locator().set_params(integer=True)
        # Not as mathematics, which a dollar sign in a label would begin.
        axes.set_yticks(places, labels=[name.replace("$", r"\$") for name in names])
        axes.set_ylim(max(3, len(ordered)) - 0.5, -0.5)
        axes.bar_label(bars, padding=3, fontsize=8)
        axes.margins(x=0.12)
        return _svg(figure)


def _colour(check: str, report: CheckReport | None) -> str:
    if report is None:
        return _BAR
    return next(_COLOURS[level] for level in LEVELS if report.findings.counts[check, level])


class _axes:  # noqa: N801 - a context manager, as contextlib's are
    """Makes a figure with one title, closed after the block."""

    def __init__(self, title: str, height: float = 3.0) -> None:
        self._title = title
        self._height = height

    def __enter__(self) -> tuple[Any, Any]:
        with translated_imports():
            from matplotlib.figure import Figure

        # A figure of its own, without pyplot: that keeps state for a whole process, and looks for a screen.
        figure = Figure(figsize=(5.2, self._height), layout="constrained")
        axes = figure.subplots()
        axes.set_title(self._title, fontsize=11, loc="left")
        axes.spines[["top", "right"]].set_visible(False)
        return figure, axes

    def __exit__(self, *_: object) -> None:
        return None


def _svg(figure: Any) -> str:
    file = io.StringIO()
    figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    return file.getvalue()[file.getvalue().index("<svg") :]


def _checks(report: CheckReport) -> str:
    rows = [
        f"<tr><td>{check}</td><td class='{level}'>{level}</td>"
        f"<td class='n'>{count}</td><td>{html.escape(meaning)}</td></tr>"
        for check, meaning in CHECKS.items()
        for level in LEVELS
        if (count := report.findings.counts[check, level])
    ]
    head = "<tr><th>check</th><th>level</th><th>findings</th><th>looks for</th></tr>"
    return f"<h2>Checks</h2><table>{head}{''.join(rows)}</table>" if rows else "<h2>Nothing was found</h2>"


def _worst(report: CheckReport) -> str:
    rows = []
    for _, found in report.findings.worst_rows():
        said = "<br>".join(
            f"<span class='{one.level}'>{one.check}</span> {html.escape(one.message)}" for one in found[:8]
        )
        shown = next((one.excerpt for one in found if one.excerpt), "")
        quote = f"<blockquote>{html.escape(shown)}</blockquote>" if shown else ""
        rows.append(f"<tr><td>{html.escape(found[0].place)}</td><td>{said}{quote}</td></tr>")
    return f"<h2>Rows with the most findings</h2><table>{''.join(rows)}</table>" if rows else ""
