"""The measurement that an estimate needs of a recipe: its rows' lengths, its base's shape, this machine's device."""

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from patchbay.tuning.training.data import RunRows, find_sources, read_all
from patchbay.tuning.training.estimate import Estimate, Workload, estimate, workload
from patchbay.tuning.training.hardware import Device, known_gpu, own_cpu, own_gpus
from patchbay.tuning.training.recipe import TrainingRecipe
from patchbay.tuning.training.rows import PlacedRow, Row
from patchbay.tuning.training.shape import KNOWN, TrainedShape, read_shape
from patchbay.tuning.training.start import own_threads

# So many rows are encoded; the rest is as long as they are.
_MOST: Final = 500
# Tokens that a chat template puts around a message, as a rule.
_AROUND: Final = 5
_BYTES_A_TOKEN: Final = 3.5


def measured_workload(recipe: TrainingRecipe, rows: RunRows | None = None) -> Workload:
    """Measures the rows of `recipe`, without loading its base. Raises ConfigError where they cannot be read."""
    found = rows or read_all(recipe, find_sources(recipe))
    chosen = list(found.train)
    random.Random(recipe.seed).shuffle(chosen)  # noqa: S311 - a sample, no secret
    lengths = [min(length, recipe.data.max_length) for length in lengths_of(chosen[:_MOST], recipe.base)]
    sampled = workload(lengths, recipe.schedule.batch, len(found.validation))
    return Workload(
        rows=len(found.train), tokens=sampled.tokens, longest=sampled.longest, validation=sampled.validation
    )


def lengths_of(rows: Sequence[PlacedRow], base: Path) -> list[int]:
    """Counts the tokens of rows by the base's tokenizer, or by their bytes where it has none; template tokens are
    guessed."""
    path = base / "tokenizer.json"
    texts = [list(_texts(one.row)) for one in rows]
    if not path.is_file():
        return [round(sum(len(text.encode()) for text in row) / _BYTES_A_TOKEN) + _AROUND * len(row) for row in texts]
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(path))
    return [sum(len(tokenizer.encode(text).ids) + _AROUND for text in row) for row in texts]


def _texts(row: Row) -> Iterator[str]:
    """The texts of one sequence: of a chat, or of a prompt and its longer answer."""
    messages: list[Any] = row["messages"] if "messages" in row else list(row["prompt"])
    answers = [row[key] for key in ("chosen", "rejected", "completion") if key in row]
    messages = messages + max(answers, key=lambda answer: len(str(answer)), default=[])
    for message in messages:
        yield str(message.get("content") or message.get("tool_calls") or "")


def shape_of(recipe: TrainingRecipe, like: str | None = None) -> TrainedShape:
    """Returns the shape of the recipe's base; `like`: a known one in its place. Raises ConfigError."""
    if like is None:
        return read_shape(recipe.base)
    return KNOWN[like] if like in KNOWN else read_shape(Path(like))


def device_of(recipe: TrainingRecipe, gpu: str | None = None) -> tuple[Device, int]:
    """Returns the device that the recipe would run on here, and how many; `gpu`: a known one in its place."""
    if gpu is not None:
        return known_gpu(gpu), 1
    gpus = own_gpus()
    return (gpus[0], 1) if gpus else (own_cpu(recipe.compute.threads or own_threads()), 1)


def estimate_here(recipe: TrainingRecipe, rows: RunRows | None = None) -> Estimate:
    """Estimates the run of `recipe` on this machine. Raises ConfigError."""
    device, count = device_of(recipe)
    return estimate(recipe, shape_of(recipe), measured_workload(recipe, rows), device, devices=count)
