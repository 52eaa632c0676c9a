"""The plot of a run's losses."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from patchbay.tuning.training.history import HistoryPoint, losses

# Okabe and Ito's colours, which colour-blind people tell apart.
_COLOURS: Final = {"loss": "#0072B2", "validation": "#D55E00", "general": "#009E73"}
_LABELS: Final = {"loss": "training", "validation": "validation", "general": "general rows"}
_SHARE_OF_OLD: Final = 0.8


def smoothed(values: Sequence[float]) -> list[float]:
    """Returns the moving average of `values`, exponential and without a bias towards its start (as in Adam: Kingma and
    Ba, arXiv 1412.6980)."""
    made: list[float] = []
    mean = 0.0
    for place, value in enumerate(values, start=1):
        mean = _SHARE_OF_OLD * mean + (1 - _SHARE_OF_OLD) * value
        made.append(mean / (1 - _SHARE_OF_OLD**place))
    return made


def loss_plot(points: Sequence[HistoryPoint], path: Path, *, title: str, best: int | None = None) -> None:
    """Draws the losses of a run by step into `path`, whose ending says the format. `best`: the step that was kept."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(7.2, 4.0), layout="constrained")
    axes = figure.subplots()
    _draw(axes, points)
    if best:
        axes.axvline(best, color="#999999", linestyle=":", linewidth=1)
        axes.annotate(
            f"kept: {best}",
            (best, 1),
            xycoords=("data", "axes fraction"),
            xytext=(-3, -4),
            textcoords="offset points",
            ha="right",
            va="top",
            fontsize=8,
            color="#666666",
        )
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("step")
    axes.set_ylabel("loss (nats a token)")
    axes.set_title(title, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    # Without the date, the same run draws the same bytes.
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def _draw(axes: Any, points: Sequence[HistoryPoint]) -> None:
    trained = losses(points, "loss")
    steps, values = [step for step, _ in trained], [value for _, value in trained]
    axes.plot(steps, values, color=_COLOURS["loss"], alpha=0.25, linewidth=1)
    axes.plot(steps, smoothed(values), color=_COLOURS["loss"], linewidth=1.8, label=_LABELS["loss"])
    for kind in ("validation", "general"):
        seen = losses(points, kind)
        if seen:
            axes.plot(*zip(*seen, strict=True), color=_COLOURS[kind], marker="o", markersize=3.5, label=_LABELS[kind])
    axes.set_ylim(bottom=0)
