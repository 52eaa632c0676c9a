"""Advice on memory: whether an error is about it, and which settings take less. Pure."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from patchbay.tuning.training.recipe import TrainingRecipe

_SIGNS = ("out of memory", "can't allocate memory", "cannot allocate memory", "defaultcpuallocator")


def is_out_of_memory(error: BaseException) -> bool:
    """Says whether `error` is that memory did not suffice, of a GPU or of the machine."""
    return isinstance(error, MemoryError) or any(sign in str(error).lower() for sign in _SIGNS)


def out_of_memory(recipe: TrainingRecipe) -> str:
    """Says what to change in `recipe` so that it takes less memory, the cheapest change first."""
    return "Take less: " + "; ".join(savings(recipe)) + ". `patchbay tune estimate` tells what each takes."


def savings(recipe: TrainingRecipe) -> list[str]:
    """Lists the changes that save memory, each with what it costs, those first that cost least."""
    return [f"{words} ({effect})" for words, effect, _ in changes(recipe)]


def saved(recipe: TrainingRecipe, memory: Callable[[TrainingRecipe], float]) -> list[tuple[str, float]]:
    """Returns the changes that save memory, and what each alone leaves of it. `memory`: estimates a recipe's."""
    return [(words, memory(changed(recipe, change))) for words, _, change in changes(recipe)]


def changed(recipe: TrainingRecipe, change: Mapping[str, Mapping[str, Any]]) -> TrainingRecipe:
    """Returns `recipe` with the keys of some sections changed."""
    sections = {name: getattr(recipe, name).model_copy(update=dict(keys)) for name, keys in change.items()}
    return recipe.model_copy(update=sections)


def changes(recipe: TrainingRecipe) -> Iterator[tuple[str, str, Mapping[str, Mapping[str, Any]]]]:
    """Yields each change that saves memory: as it is written, its effect in words, and its keys by section."""
    schedule, rank = recipe.schedule, recipe.adapter.rank
    if not recipe.compute.gradient_checkpointing:
        yield (
            "compute.gradient_checkpointing: true",
            "activations to a fraction, a third more time",
            {"compute": {"gradient_checkpointing": True}},
        )
    if schedule.batch > 1:
        half = schedule.batch // 2
        summed = schedule.accumulation * schedule.batch // half
        yield (
            f"schedule.batch: {half}, schedule.accumulation: {summed}",
            "activations halve, the result is the same",
            {"schedule": {"batch": half, "accumulation": summed}},
        )
    shorter = max(16, recipe.data.max_length // 2)
    yield (
        f"data.max_length: {shorter}",
        "activations halve, if the rows are that short",
        {"data": {"max_length": shorter}},
    )
    if recipe.compute.precision == "float32":
        yield (
            "compute.precision: bf16",
            "activations halve, and on a GPU the weights",
            {"compute": {"precision": "bf16"}},
        )
    if recipe.adapter.kind != "qlora":
        yield "adapter.kind: qlora", "on a GPU, an unquantized base takes a quarter", {"adapter": {"kind": "qlora"}}
    if rank > 8:
        yield f"adapter.rank: {rank // 2}", "gradients and the optimizer halve", {"adapter": {"rank": rank // 2}}
