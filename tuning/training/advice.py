"""Advice on memory: whether an error is about it, and which settings take less. Pure."""

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
    found = []
    schedule = recipe.schedule
    if not recipe.compute.gradient_checkpointing:
        found.append("compute.gradient_checkpointing: true (activations to a fraction, a third more time)")
    if schedule.batch > 1:
        half = schedule.batch // 2
        found.append(
            f"schedule.batch: {half} and schedule.accumulation: {schedule.accumulation * schedule.batch // half} "
            "(activations halve, the result is the same)"
        )
    found.append(f"data.max_length: {recipe.data.max_length // 2} (activations halve, if the rows are that short)")
    if recipe.compute.precision == "float32":
        found.append("compute.precision: bf16 (activations halve, and on a GPU the weights)")
    if recipe.adapter.kind != "qlora":
        found.append("adapter.kind: qlora over a quantized base (the weights take a quarter, on a GPU)")
    if recipe.adapter.rank > 8:
        found.append(f"adapter.rank: {recipe.adapter.rank // 2} (gradients and the optimizer halve)")
    return found
