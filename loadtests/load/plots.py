"""The plots of a report, by matplotlib, as SVG to put into a page."""

import io
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from loadtests.load.figures import Bin, Figures, Group
from loadtests.load.scenario import Scenario

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_GOOD, _DARK, _BAD, _GREY = "#0f766e", "#1e3a5f", "#c2410c", "#94a3b8"
_MOST_ROWS = 24
# Times to first token that are drawn; more are not told apart.
_MOST_POINTS = 400


def plots(scenario: Scenario, figures: Figures, ttft_s: Mapping[str, Sequence[float]]) -> "dict[str, Figure]":
    """The plots by title. `ttft_s`: times to first token, by how they are counted."""
    drawn = {
        "Throughput": _figure(lambda axes: _throughput(axes, scenario, figures)),
        "Time to first token, by when the request was due": _figure(
            lambda axes: _times(axes, scenario, figures, ("ttft_p50", "ttft_p95"), scenario.slo.ttft_p95_s)
        ),
        "Time per token after the first": _figure(
            lambda axes: _times(
                axes, scenario, figures, ("token_time_p50", "token_time_p95"), scenario.slo.token_time_p95_s
            )
        ),
        "How times to first token are spread": _figure(lambda axes: _shares(axes, ttft_s)),
        "By adapter: time to first token": _figure(lambda axes: _groups(axes, figures.by_model), len(figures.by_model)),
    }
    if figures.by_tenant:
        drawn["By tenant: time to first token"] = _figure(
            lambda axes: _groups(axes, figures.by_tenant), len(figures.by_tenant)
        )
    if figures.errors:
        drawn["Errors and refusals by kind"] = _figure(lambda axes: _errors(axes, figures.errors), len(figures.errors))
    return drawn


def svg(figure: "Figure") -> str:
    """The figure as an element of a page, its text as text."""
    import matplotlib as mpl

    buffer = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def _figure(draw: "Callable[[Axes], None]", rows: int = 0) -> "Figure":
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context({"font.size": 9, "svg.fonttype": "none"}):
        figure = Figure(figsize=(7.6, max(2.6, 0.9 + 0.3 * min(rows, _MOST_ROWS))), layout="constrained")
        axes = figure.subplots()
        axes.spines[["top", "right"]].set_visible(False)
        draw(axes)
    return figure


def _throughput(axes: "Axes", scenario: Scenario, figures: Figures) -> None:
    at, width = [bin_.at_s for bin_ in figures.bins], figures.bin_s
    axes.step(at, [bin_.due / width for bin_ in figures.bins], where="post", color=_GREY, label="due")
    axes.step(at, [bin_.ended / width for bin_ in figures.bins], where="post", color=_GOOD, label="served")
    lost = [(bin_.failed + bin_.refused) / width for bin_ in figures.bins]
    if any(lost):
        axes.step(at, lost, where="post", color=_BAD, label="failed or refused")
    _over_time(axes, scenario, "requests a second")
    token_axes = axes.twinx()
    token_axes.spines["top"].set_visible(False)
    token_axes.plot(
        at, [bin_.tokens / width for bin_ in figures.bins], color=_DARK, linewidth=0.9, alpha=0.7, label="tokens"
    )
    token_axes.set_ylabel("tokens a second")
    token_axes.set_ylim(bottom=0)
    lines = [*axes.get_lines(), *token_axes.get_lines()]
    named = [line for line in lines if not str(line.get_label()).startswith("_")]
    axes.legend(handles=named, loc="upper left", bbox_to_anchor=(0, 1.16), ncols=len(named), frameon=False)


def _times(axes: "Axes", scenario: Scenario, figures: Figures, names: tuple[str, str], wanted_s: float | None) -> None:
    for name, colour in zip(names, (_GOOD, _DARK), strict=True):
        points = [
            (bin_.at_s + figures.bin_s / 2, 1000 * value) for bin_ in figures.bins if (value := _value(bin_, name))
        ]
        if points:
            axes.plot(*zip(*points, strict=True), color=colour, marker=".", markersize=4, label=name[-3:])
    if wanted_s is not None:
        axes.axhline(1000 * wanted_s, color=_BAD, linestyle="--", linewidth=1, label="target of p95")
    if axes.get_lines():
        axes.legend(loc="upper left", bbox_to_anchor=(0, 1.16), ncols=3, frameon=False)
    _over_time(axes, scenario, "ms")


def _value(bin_: Bin, name: str) -> float | None:
    found: float | None = getattr(bin_, name)
    return found


def _over_time(axes: "Axes", scenario: Scenario, unit: str) -> None:
    axes.set_xlabel("seconds")
    axes.set_ylabel(unit)
    axes.set_ylim(bottom=0)
    axes.set_xlim(left=0)
    if scenario.warm_s:
        axes.axvspan(0, scenario.warm_s, color=_GREY, alpha=0.18, linewidth=0)
    axes.axvline(scenario.seconds, color=_GREY, linewidth=0.8, linestyle=":")
    if scenario.canary is not None:
        axes.axvline(scenario.canary.at_s, color=_BAD, linewidth=0.8, linestyle=":")


def _shares(axes: "Axes", ttft_s: Mapping[str, Sequence[float]]) -> None:
    for (name, values), colour in zip(ttft_s.items(), (_DARK, _GREY), strict=False):
        ordered = sorted(values)
        step = max(1, len(ordered) // _MOST_POINTS)
        shares = [100 * (place + 1) / len(ordered) for place in range(len(ordered))]
        axes.step([1000 * value for value in ordered][::step], shares[::step], where="post", color=colour, label=name)
    axes.set_xlabel("ms")
    axes.set_ylabel("% of streams")
    axes.set_ylim(0, 101)
    if any(ttft_s.values()):
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.legend(loc="lower right", frameon=False)


def _groups(axes: "Axes", groups: Mapping[str, Group]) -> None:
    shown = {name: group for name, group in list(groups.items())[:_MOST_ROWS] if group.ttft is not None}
    names = [f"{name}  ({group.sent})" for name, group in shown.items()]
    spreads = [group.ttft for group in shown.values() if group.ttft is not None]
    axes.barh(names, [1000 * spread.p95 for spread in spreads], color=_GREY, alpha=0.6, label="p95")
    axes.barh(names, [1000 * spread.p50 for spread in spreads], color=_GOOD, height=0.5, label="p50")
    axes.invert_yaxis()
    axes.set_xlabel("ms (in brackets: requests)")
    axes.set_ylim(bottom=max(2.5, len(names) - 0.5))
    axes.legend(loc="upper left", bbox_to_anchor=(0, 1.12), ncols=2, frameon=False)


def _errors(axes: "Axes", errors: Mapping[str, int]) -> None:
    shown = list(errors.items())[:_MOST_ROWS]
    bars = axes.barh([kind for kind, _ in shown], [count for _, count in shown], color=_BAD)
    axes.bar_label(bars, padding=3)
    axes.invert_yaxis()
    axes.set_ylim(bottom=max(2.5, len(shown) - 0.5))
    axes.margins(x=0.1)
    axes.set_xlabel("requests")
