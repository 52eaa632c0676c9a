"""The outcome of a sweep: a table of its trials, what each value of a key did, a plot, and the best recipe."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, Final

import yaml

from patchbay.tuning.training.checkpoints import write_text
from patchbay.tuning.training.recipe import TrainingRecipe
from patchbay.tuning.training.space import with_values
from patchbay.tuning.training.sweep import TrialResult

BEST_FILE: Final = "best.yaml"


def write_ablation(folder: Path, trials: Sequence[TrialResult], recipe: TrainingRecipe) -> Path | None:
    """Writes table, JSON, plot and best recipe of a sweep into `folder`, and returns the last one's path, None where no
    trial was completed."""
    write_text(folder / "ablation.md", ablation_text(trials, recipe.name))
    write_text(folder / "ablation.json", json.dumps([as_json(one) for one in trials], indent=2))
    whole = [one for one in trials if one.loss is not None]
    if not whole:
        return None
    ablation_plot(whole, folder / "ablation.svg")
    best = with_values(recipe, whole[0].values).model_dump(mode="json", exclude_none=True, exclude={"output"})
    write_text(folder / BEST_FILE, yaml.safe_dump(best, sort_keys=False))
    return folder / BEST_FILE


def as_json(trial: TrialResult) -> dict[str, Any]:
    """Returns a trial as JSON has it."""
    return {
        "number": trial.number,
        "state": trial.state,
        "values": dict(trial.values),
        "validation_loss": trial.loss,
        "general_loss": trial.general,
        "seconds": trial.seconds,
        "folder": trial.folder,
    }


def ablation_text(trials: Sequence[TrialResult], name: str) -> str:
    """Writes the trials as Markdown, the best first, and below what each chosen value did by itself. Pure."""
    keys = sorted({key for one in trials for key in one.values})
    head = ["trial", *keys, "validation loss", "general loss", "seconds", "state"]
    lines = [f"# Sweep of {name}", "", _row(head), _row(["---"] * len(head))]
    for one in trials:
        values = [_shown(one.values.get(key)) for key in keys]
        lines.append(_row([str(one.number), *values, *map(_shown, (one.loss, one.general, one.seconds)), one.state]))
    lines += ["", "Mean validation loss by value, over all other keys:", ""]
    for key, means in effects(trials).items():
        told = ", ".join(f"{value}: {mean:.4f} ({count})" for value, (mean, count) in means.items())
        lines.append(f"- {key}: {told}")
    return "\n".join(lines) + "\n"


def effects(trials: Sequence[TrialResult]) -> dict[str, dict[str, tuple[float, int]]]:
    """Returns for each key and value the mean loss of the trials that had it, and their number. A key that has nearly
    as many values as there are trials is left out."""
    whole = [one for one in trials if one.loss is not None]
    found: dict[str, dict[str, tuple[float, int]]] = {}
    for key in sorted({key for one in whole for key in one.values}):
        by_value: dict[str, list[float]] = {}
        for one in whole:
            by_value.setdefault(_shown(one.values.get(key)), []).append(one.loss or 0.0)
        if 2 * len(by_value) <= len(whole) + 1:
            found[key] = {value: (fmean(seen), len(seen)) for value, seen in sorted(by_value.items())}
    return found


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else json.dumps(value).strip('"')


def ablation_plot(trials: Sequence[TrialResult], path: Path) -> None:
    """Draws the validation loss of completed trials over each key's values into `path`."""
    from matplotlib.figure import Figure

    keys = sorted({key for one in trials for key in one.values})
    figure = Figure(figsize=(3.4 * len(keys), 3.4), layout="constrained")
    panels = figure.subplots(1, len(keys), squeeze=False, sharey=True)[0]
    for axes, key in zip(panels, keys, strict=True):
        _draw(axes, key, trials)
    panels[0].set_ylabel("validation loss")
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def _draw(axes: Any, key: str, trials: Sequence[TrialResult]) -> None:
    values = [one.values.get(key) for one in trials]
    losses = [one.loss for one in trials]
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    seen: list[Any] = values if numbers else [_shown(value) for value in values]
    axes.scatter(seen, losses, color="#0072B2", alpha=0.7)
    axes.scatter(seen[:1], losses[:1], color="#D55E00", label="best", zorder=3)
    if numbers and min(seen) > 0 and max(seen) > 20 * min(seen):
        axes.set_xscale("log")
    axes.set_xlabel(key)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)


def best_values(trials: Sequence[TrialResult]) -> Mapping[str, Any]:
    """Returns the values of the best trial, none where none was completed."""
    return next((one.values for one in trials if one.loss is not None), {})
