"""A page of a run for a browser: one HTML file with its facts, its curves and its findings, and nothing to fetch."""

from collections.abc import Mapping, Sequence
from html import escape
from io import BytesIO
from pathlib import Path
from typing import Any, Final

from patchbay.tuning.training.display import duration
from patchbay.tuning.training.history import HistoryPoint, losses
from patchbay.tuning.training.plot import loss_figure
from patchbay.tuning.training.runs import RunRecord

_STYLE: Final = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { margin-bottom: 0; } .state { color: #666; margin-top: 0; }
table { border-collapse: collapse; margin: 1rem 0; } td, th { padding: .25rem 1rem .25rem 0; text-align: left; }
td { border-top: 1px solid #ddd; overflow-wrap: anywhere; } .warn { background: #fff3e0; padding: .5rem 1rem; }
svg { max-width: 100%; height: auto; }
"""


def run_page(record: RunRecord, points: Sequence[HistoryPoint], push: str) -> str:
    """Writes the page of the run `record`. `push`: the command that comes next."""
    found = "".join(
        f'<p class="warn">{escape(words)}</p>' for words in (*record.findings, *filter(None, [record.fault]))
    )
    next_ = f"<h2>Next</h2><pre>{escape(push)}</pre>" if record.state == "done" else ""
    body = (
        f"<h1>{escape(record.name)}</h1><p class='state'>{escape(_state(record))}</p>{found}"
        f"{_curves(record, points)}<h2>Evaluations</h2>{_evaluations(points)}{next_}"
        f"<h2>What it was made of</h2>{_table(_facts(record))}"
    )
    head = f'<meta charset="utf-8"><title>{escape(record.name)}</title><style>{_STYLE}</style>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{body}</body></html>\n'


def write_page(path: Path, record: RunRecord, points: Sequence[HistoryPoint], push: str) -> None:
    """Writes the page of a run to `path`. Raises OSError."""
    path.write_text(run_page(record, points, push), encoding="utf-8")


def _state(record: RunRecord) -> str:
    taken = f", {duration(record.used['seconds'])}" if record.used else ""
    again = f", gone on with {record.resumed} times" if record.resumed else ""
    return f"{record.state}, begun {record.began}{taken}{again}"


def _curves(record: RunRecord, points: Sequence[HistoryPoint]) -> str:
    if not losses(points, "loss"):
        return ""
    drawn = BytesIO()
    best = record.metrics.get("best_step")
    loss_figure(points, title="Losses", best=int(best) if best else None).savefig(
        drawn, format="svg", metadata={"Date": None}
    )
    text = drawn.getvalue().decode()
    return text[text.index("<svg") :]


def _evaluations(points: Sequence[HistoryPoint]) -> str:
    seen: dict[int, dict[str, float]] = {}
    for kind in ("validation", "general"):
        for step, value in losses(points, kind):
            seen.setdefault(step, {})[kind] = value
    if not seen:
        return "<p>Nothing was held out.</p>"
    rows = "".join(
        f"<tr><td>{step}</td>"
        + "".join(
            f"<td>{found[kind]:.4f}</td>" if kind in found else "<td>-</td>" for kind in ("validation", "general")
        )
        + "</tr>"
        for step, found in sorted(seen.items())
    )
    return f"<table><tr><th>step</th><th>validation</th><th>general rows</th></tr>{rows}</table>"


def _facts(record: RunRecord) -> Mapping[str, Any]:
    return {
        "method": record.recipe.get("method"),
        "rows": ", ".join(f"{count} {name}" for name, count in record.rows.items()),
        "steps": record.steps,
        "trained parameters": f"{record.trainable:,}" if record.trainable else None,
        "command": record.command,
        "recipe": record.recipe_digest,
        "data": record.data_digest,
        "base": record.base_fingerprint,
        "commit": record.commit,
        "seed": record.seed,
        "versions": ", ".join(f"{name} {number}" for name, number in record.versions.items()),
    }


def _table(facts: Mapping[str, Any]) -> str:
    rows = "".join(
        f"<tr><th>{escape(name)}</th><td>{escape(str(value))}</td></tr>"
        for name, value in facts.items()
        if value is not None
    )
    return f"<table>{rows}</table>"
