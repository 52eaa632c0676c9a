"""The model card of what a run leaves: Markdown with the header that Hugging Face's tools read. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

from patchbay.tuning.training.history import HistoryPoint, losses
from patchbay.tuning.training.methods import METHODS
from patchbay.tuning.training.recipe import TrainingRecipe
from patchbay.tuning.training.runs import RunRecord


def model_card(record: RunRecord, recipe: TrainingRecipe, points: Sequence[HistoryPoint]) -> str:
    """Writes the card of the adapter that the run `record` left."""
    parts = [_header(record, recipe), _about(record, recipe), _serving(recipe), _training(record, recipe)]
    parts += [_results(record, points), _limits(record, recipe), _again(record)]
    return "\n".join(part for part in parts if part)


def _header(record: RunRecord, recipe: TrainingRecipe) -> str:
    header = {
        "library_name": "peft",
        "base_model": recipe.base.name,
        "license": recipe.card.licence,
        "tags": ["lora", "patchbay", recipe.method, *recipe.card.tags],
        "pipeline_tag": "text-generation",
    }
    return f"---\n{yaml.safe_dump({key: value for key, value in header.items() if value}, sort_keys=False)}---\n"


def _about(record: RunRecord, recipe: TrainingRecipe) -> str:
    purpose = recipe.card.purpose or "Its makers have not said what it is for."
    owner = f"{recipe.card.owner} answers for it. " if recipe.card.owner else ""
    kind = f"{recipe.adapter.kind} of rank {recipe.adapter.rank}"
    return (
        f"# {record.name}\n\n{purpose}\n\n{owner}It is a {kind} over the base model `{recipe.base.name}`, trained by "
        f"{METHODS[recipe.method].title} ({METHODS[recipe.method].source}).\n"
    )


def _serving(recipe: TrainingRecipe) -> str:
    if recipe.adapter.kind != "dora":
        return ""
    return (
        "vLLM does not serve DoRA beside other adapters: `patchbay adapters push . --name NAME --fold FOLDER` merges "
        "it into a base model of its own.\n"
    )


def _training(record: RunRecord, recipe: TrainingRecipe) -> str:
    schedule = recipe.schedule
    facts: dict[str, Any] = {
        "rows": ", ".join(f"{count} {name}" for name, count in record.rows.items()),
        "steps": f"{record.steps}, of {schedule.batch} x {schedule.accumulation} rows",
        "rate": f"{recipe.rate:g}, {schedule.shape}, warm-up {schedule.warmup:g}",
        "adapter": f"rank {recipe.adapter.rank}, alpha {recipe.adapter.scale_alpha:g}, "
        f"dropout {recipe.adapter.dropout:g}, on {', '.join(recipe.adapter.targets)}",
        "trained parameters": f"{record.trainable:,}" if record.trainable else None,
        "precision": recipe.compute.precision,
        "time": f"{record.used['seconds']:.0f} s, {record.used['memory_bytes'] / 2**30:.1f} GiB"
        if record.used
        else None,
    }
    return "## Training\n\n" + "".join(_table(facts))


def _results(record: RunRecord, points: Sequence[HistoryPoint]) -> str:
    rows = []
    for kind, words in (("validation", "validation loss"), ("general", "loss on general rows")):
        seen = losses(points, kind)
        after = record.metrics.get(f"{kind}_loss")
        if seen and after is not None:
            rows.append(f"| {words} | {seen[0][1]:.4f} | {after:.4f} |\n")
    if not rows:
        return "## Results\n\nNothing was held out, so nothing says how well it does on rows that it has not seen.\n"
    lead = "Losses in nats a token, of the base and of the adapter as it is in this folder.\n\n"
    step = f"\nThe checkpoint of step {int(record.metrics.get('best_step', 0))} was kept.\n"
    return f"## Results\n\n{lead}| | base | adapter |\n|---|---:|---:|\n{''.join(rows)}{step}"


def _limits(record: RunRecord, recipe: TrainingRecipe) -> str:
    found = [f"- {words}\n" for words in record.findings]
    said = [f"{recipe.card.limits}\n"] if recipe.card.limits else []
    return f"## Limits\n\n{''.join([*said, *found])}" if found or said else ""


def _again(record: RunRecord) -> str:
    facts = {
        "command": f"`{record.command}`",
        "recipe": record.recipe_digest,
        "data": record.data_digest,
        "base": record.base_fingerprint,
        "commit": record.commit,
        "seed": record.seed,
        "packages": record.environment_digest,
        "versions": ", ".join(f"{name} {number}" for name, number in record.versions.items()),
    }
    return "## To make it again\n\n" + "".join(_table(facts))


def _table(facts: Mapping[str, Any]) -> Iterator[str]:
    yield "| | |\n|---|---|\n"
    yield from (f"| {name} | {value} |\n" for name, value in facts.items() if value is not None)
