"""The check that a loaded revision fits the base model, by the modules that the engine's workers report."""

from collections.abc import Sequence

from patchbay.adapters.checks.config import FOLD_HINT
from patchbay.core.errors import AdapterRejected

# The modules of a revision that a worker's part of the base model has, and those that it has not.
WorkerModules = tuple[Sequence[str], Sequence[str]]


def check_fit(name: str, workers: Sequence[WorkerModules]) -> None:
    """Raises AdapterRejected where a module of the revision called `name` is in no worker's part of the base.

    vLLM ignores such modules without a word, and serves the base's answers where none is left.
    """
    matched = set[str]().union(*(names for names, _ in workers))
    unmatched = set[str]().union(*(names for _, names in workers)) - matched
    if not matched or unmatched:
        example = min(unmatched, default="any module")
        raise AdapterRejected(
            f"{name} has weights for modules that the base model has not, such as {example}: "
            f"{len(matched)} of {len(matched) + len(unmatched)} fit, and the rest would be ignored without a word.",
            param="model",
            hint=f"Check that the adapter was trained for this base model. If it was: {FOLD_HINT}",
        )
