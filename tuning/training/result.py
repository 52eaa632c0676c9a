"""The folder that a run leaves: an adapter that `patchbay adapters push` takes as it is, its manifest and its card."""

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from patchbay.adapters.contents import CONFIG_FILE, MANIFEST_FILE, WEIGHTS_FILE
from patchbay.core.disk import sync
from patchbay.core.errors import AdapterError
from patchbay.tuning.training.card import model_card
from patchbay.tuning.training.history import HistoryPoint
from patchbay.tuning.training.plot import loss_plot
from patchbay.tuning.training.recipe import TrainingRecipe
from patchbay.tuning.training.rows import Row
from patchbay.tuning.training.runs import RunRecord, now, update

PLOT_FILE: Final = "loss.svg"
_NEW: Final = ".result-new"
_ROWS: Final = 32
_PARITY_LATER: Final = "`patchbay tune parity` writes them later."
_FILE_MODE: Final = 0o644


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedAdapter:
    """The product of a training. `checkpoint`: the folder of the weights to keep; `model`: PEFT's, with those weights,
    None where it is in pieces; `points`: its history; `chats`: rows, each with `messages`, by which replicas prove that
    they serve what was trained."""

    checkpoint: Path
    model: Any
    tokenizer: Any
    recipe: TrainingRecipe
    points: Sequence[HistoryPoint]
    chats: Sequence[Row]


def write_result(folder: Path, outcome: TrainedAdapter) -> None:
    """Writes the adapter into the run's `folder`: beside it first, then renamed, its configuration last."""
    fresh = folder / _NEW
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir()
    record = update(folder, ended=now())
    save_adapter(outcome.checkpoint, fresh, outcome.recipe)
    if (lacking := write_parity_rows(fresh, outcome)) is not None:
        record = update(folder, findings=(*record.findings, lacking))
    (fresh / MANIFEST_FILE).write_text(manifest_text(record, outcome.recipe), encoding="utf-8")
    (fresh / "README.md").write_text(model_card(record, outcome.recipe, outcome.points), encoding="utf-8")
    loss_plot(outcome.points, fresh / PLOT_FILE, title=record.name, best=int(record.metrics.get("best_step", 0)))
    for path in sorted(fresh.iterdir(), key=lambda path: path.name == CONFIG_FILE):
        sync(path)
        path.replace(folder / path.name)
    os.sync()
    fresh.rmdir()
    update(folder, state="done")


def save_adapter(checkpoint: Path, folder: Path, recipe: TrainingRecipe) -> None:
    """Writes the adapter of a checkpoint as PEFT's folder, in bfloat16, that names the base and no path of this
    machine."""
    import torch
    from safetensors.torch import load_file, save_file

    weights = load_file(checkpoint / WEIGHTS_FILE)
    kept = {name: tensor.to(torch.bfloat16).contiguous() for name, tensor in sorted(weights.items())}
    save_file(kept, str(folder / WEIGHTS_FILE), metadata={"format": "pt"})
    (folder / WEIGHTS_FILE).chmod(_FILE_MODE)
    document = json.loads((checkpoint / CONFIG_FILE).read_text(encoding="utf-8"))
    document |= {"inference_mode": True, "base_model_name_or_path": recipe.base.name}
    # PEFT writes sets in the order of their hashes, which differs from process to process.
    if isinstance(document["target_modules"], list):
        document["target_modules"] = sorted(document["target_modules"])
    (folder / CONFIG_FILE).write_text(f"{json.dumps(document, indent=2, sort_keys=True)}\n", encoding="utf-8")


def manifest_text(record: RunRecord, recipe: TrainingRecipe) -> str:
    """Returns `patchbay-adapter.yaml`: what is stated of the adapter, and checked when it is pushed."""
    loss = {name: value for name, value in record.metrics.items() if name.endswith("_loss")}
    stated = {
        "base": record.base_fingerprint,
        "owner": recipe.card.owner,
        "licence": recipe.card.licence,
        "data_hash": record.data_digest,
        "commit": record.commit,
        "evaluations": {name: round(value, 4) for name, value in loss.items()},
        "tags": [*recipe.card.tags, recipe.method, recipe.adapter.kind],
        "notes": f"Trained by `{record.command}`: recipe {record.recipe_digest[:12]}, seed {record.seed}, "
        f"step {int(record.metrics.get('best_step', 0))} of {record.steps}.",
    }
    return yaml.safe_dump({name: value for name, value in stated.items() if value}, sort_keys=False, width=100)


def served_how(recipe: TrainingRecipe, folder: Path) -> str:
    """Says how the adapter in `folder` is served. DoRA has no place beside other adapters in vLLM, so it is merged."""
    push = f"patchbay adapters push {folder} --name {recipe.name}"
    if recipe.adapter.kind == "dora":
        return f"{push} --fold ./{recipe.name}-base --onto UNQUANTIZED_BASE"
    return push


def write_parity_rows(folder: Path, outcome: TrainedAdapter) -> str | None:
    """Writes what the trainer computes for a few rows into `folder`, which replicas must reproduce. Returns why it
    could not, None where it could."""
    from accelerate.utils import extract_model_from_parallel

    from patchbay.tuning.parity.write import write_parity

    if outcome.model is None:
        return f"No parity rows were written: the model was in pieces. {_PARITY_LATER}"
    cut = outcome.recipe.data.max_length if outcome.recipe.data.too_long == "cut" else None
    # The trainer's wrapper computes in bfloat16 whatever is asked: rows would be rounded, and their noise not be seen.
    model = extract_model_from_parallel(outcome.model, keep_fp32_wrapper=False)
    try:
        write_parity(folder, model=model, tokenizer=outcome.tokenizer, rows=outcome.chats, limit=_ROWS, max_length=cut)
    except AdapterError as error:
        return f"No parity rows were written: {error.message} {_PARITY_LATER}"
    return None
