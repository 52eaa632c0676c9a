"""The benchmark's results as a table, as JSON and as a picture."""

import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from loadtests.overhead.measure import Crowd, Round
from loadtests.overhead.targets import FULL

_RUST = ("vllm-router", "sglang-router")
_CALL_SHARE = 1.5
_FIRST_BYTE_SHARE = 1.5
_GROWN_MIB = 120


def medians(rounds: Mapping[str, Sequence[Round]]) -> dict[str, dict[str, float]]:
    """Each router's median over its rounds, in microseconds; the engine's own first byte is taken off."""
    found = {}
    for name, measured in rounds.items():
        found[name] = {
            "call_us": statistics.median(round_.call_us for round_ in measured),
            "chunk_us": statistics.median(round_.chunk_us for round_ in measured),
            "first_byte_us": statistics.median(round_.first_byte_us for round_ in measured),
        }
    return found


def targets_met(figures: Mapping[str, Mapping[str, float]], crowds: Sequence[Crowd]) -> dict[str, bool]:
    """Whether each target of the data path holds in these figures, with all that Patchbay can do switched on; only
    those that could be measured."""
    ours, rust = figures.get(FULL) or figures.get("patchbay"), [figures[name] for name in _RUST if name in figures]
    met: dict[str, bool] = {}
    if ours and rust:
        met["a chunk costs no more than in the better Rust router"] = ours["chunk_us"] <= min(
            router["chunk_us"] for router in rust
        )
        met["a call costs at most 1.5x the better Rust router's"] = ours["call_us"] <= _CALL_SHARE * min(
            router["call_us"] for router in rust
        )
    if ours and "vllm-router" in figures:
        allowed = _FIRST_BYTE_SHARE * figures["vllm-router"]["first_byte_us"]
        met["the first byte is delayed at most 1.5x as long as by vllm-router"] = ours["first_byte_us"] <= allowed
    for crowd in crowds:
        met[f"{crowd.streams} streams at once, none failed"] = crowd.failed == 0
        if crowd.streams <= 2000:
            met[f"{crowd.streams} streams take at most {_GROWN_MIB} MiB"] = crowd.grown_mib <= _GROWN_MIB
    return met


def table_of(figures: Mapping[str, Mapping[str, float]]) -> Table:
    """The figures for people."""
    table = Table(title="In front of the same fake engine, CPU time of the router's processes")
    table.add_column("router")
    for heading in ("µs a call", "µs a chunk", "first byte later by, µs"):
        table.add_column(heading, justify="right")
    for name, row in figures.items():
        table.add_row(name, f"{row['call_us']:.0f}", f"{row['chunk_us']:.1f}", f"{row['first_byte_us']:.0f}")
    return table


def write(folder: Path, document: Mapping[str, Any]) -> None:
    """Writes `overhead.json` and, where matplotlib is there, `overhead.png`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "overhead.json").write_text(json.dumps(document, indent=2))
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return
    figures = {name: row for name, row in document["routers"].items() if name != "litellm"}
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    titles = {"call_us": "µs a call", "chunk_us": "µs a chunk", "first_byte_us": "first byte later, µs"}
    for axis, (key, title) in zip(figure.subplots(1, 3), titles.items(), strict=True):
        colours = ["#c2410c" if name.startswith("patchbay") else "#94a3b8" for name in figures]
        bars = axis.barh(list(figures), [row[key] for row in figures.values()], color=colours)
        axis.bar_label(bars, fmt="%.0f" if key != "chunk_us" else "%.1f", padding=3)
        axis.set_title(title)
        axis.margins(x=0.2)
        axis.invert_yaxis()
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(folder / "overhead.png", dpi=130)
