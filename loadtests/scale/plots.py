"""The results as pictures: PNG to look at, SVG for docs."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loadtests.scale.policies import ALL
from loadtests.scale.report import Measured, Simulated

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS = dict(zip(ALL, ("#94a3b8", "#0e7490", "#7c3aed", "#c2410c"), strict=True))
_MARKS = dict(zip(ALL, ("s", "D", "^", "o"), strict=True))


def draw(folder: Path, simulated: Simulated, measured: Measured, *, form: str) -> list[Path]:
    """Draws all of it into `folder`, and says what files these are."""
    drawn: Mapping[str, Callable[[Axes], None]] = {
        "scale-growth": lambda axes: _growth(axes, simulated),
        "scale-needed": lambda axes: _needed(axes, simulated),
        "scale-decisions": lambda axes: _decisions(axes, measured),
    }
    folder.mkdir(parents=True, exist_ok=True)
    return [_drawn(folder / f"{name}.{form}", how) for name, how in drawn.items()]


def _drawn(file: Path, how: "Callable[[Axes], None]") -> Path:
    import matplotlib as mpl
    from matplotlib.figure import Figure

    # Text stays text, and the same picture the same bytes.
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "scale", "font.size": 9}):
        figure = Figure(figsize=(6.4, 3.4), layout="constrained")
        axes = figure.subplots()
        how(axes)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(visible=True, alpha=0.3)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(frameon=False)
        figure.savefig(file, dpi=130, metadata={"Date": None} if file.suffix == ".svg" else None)
    return file


def _growth(axes: "Axes", found: Simulated) -> None:
    rows = found.groups["growth"]
    for policy in ALL:
        of_policy = [row for row in rows if row.policy == policy]
        axes.plot([row.replicas for row in of_policy], [row.good * 100 for row in of_policy], **_style(policy))
    axes.set(xscale="log", ylim=(0, 103), xlabel="replicas (ten adapters each)", ylabel="good requests, %")
    axes.set_title("First token within 1 s, 0.1 s a token, at 60% of capacity")


def _needed(axes: "Axes", found: Simulated) -> None:
    for policy in ALL:
        of_policy = [row for row in found.needed if row.policy == policy and row.replicas is not None]
        axes.plot([row.per_s for row in of_policy], [row.replicas or 0 for row in of_policy], **_style(policy))
    ideal = {row.per_s: row.ideal for row in found.needed}
    axes.plot(list(ideal), list(ideal.values()), "k:", label="batches always full")
    axes.set(xscale="log", yscale="log", xlabel="requests a second", ylabel="replicas")
    axes.set_title("Replicas for 99% of requests to be good, 500 adapters")


def _decisions(axes: "Axes", found: Measured) -> None:
    counts = [decision.replicas for decision in found.decisions]
    axes.plot(counts, [decision.pick_us for decision in found.decisions], "o-", color="#c2410c", label="pick a replica")
    axes.plot(counts, [decision.fits_us for decision in found.decisions], "D-", color="#0e7490", label="is there room")
    axes.plot(
        counts, [decision.next_us for decision in found.decisions], "^-", color="#7c3aed", label="whose turn, 500 wait"
    )
    axes.set(xscale="log", yscale="log", xlabel="replicas", ylabel="µs of CPU")
    axes.set_title("What one decision costs the router")


def _style(policy: str) -> dict[str, Any]:
    return {"color": _COLOURS[policy], "marker": _MARKS[policy], "label": policy}
