"""The checks in their order, the cheap first, and the reason that each refusal carries."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from patchbay.adapters.checks.base import BaseLayout
from patchbay.adapters.checks.config import read_config
from patchbay.adapters.checks.copies import check_copies
from patchbay.adapters.checks.drift import check_drift
from patchbay.adapters.checks.fit import check_fit
from patchbay.adapters.checks.folder import DEFAULT_LIMITS, FolderLimits, check_files
from patchbay.adapters.checks.safetensors import read_header
from patchbay.adapters.checks.structure import pair_tensors
from patchbay.adapters.checks.trials import APART, Trials
from patchbay.adapters.checks.values import check_values
from patchbay.adapters.contents import WEIGHTS_FILE
from patchbay.core.errors import AdapterError


@contextmanager
def because(reason: str) -> Iterator[None]:
    """Gives this reason to every AdapterError that leaves the block without one."""
    try:
        yield
    except AdapterError as error:
        error.reason = error.reason or reason
        raise


@dataclass(frozen=True, slots=True)
class AdapterSummary:
    """The main facts of a checked adapter, by its own files. `modules`: the base's modules that it has weights for."""

    rank: int
    alpha: float
    modules: frozenset[str]


def check_folder(
    folder: Path,
    *,
    max_rank: int,
    base: BaseLayout | None = None,
    limits: FolderLimits = DEFAULT_LIMITS,
    trials: Trials = APART,
) -> AdapterSummary:
    """Checks the adapter in `folder` and summarizes it; `base`: what it must fit, where that is known.

    Raises AdapterError, naming the file, the tensor and what was expected, for anything that would make an engine
    refuse it, read it wrongly, or serve the base's own answers in its name. Reads every byte of the weights once.

    `max_rank`: the largest rank that replicas take; `trials`: try a tokenizer and a template, by default in
    processes of their own.
    """
    weights = folder / WEIGHTS_FILE
    with because("files"):
        check_files(folder, limits)
    with because("config"):
        settings = read_config(folder, max_rank=max_rank, limits=limits)
    with because("header"):
        tensors = read_header(weights, max_bytes=limits.header_bytes)
    with because("structure"):
        pairs = pair_tensors(tensors.values(), settings, weights)
    with because("fit"):
        check_copies(tensors.values(), base, weights)
    if base is not None:
        with because("fit"):
            check_fit(pairs, settings, base, folder)
        with because("drift"):
            check_drift(folder, base, limits, trials)
    with because("values"):
        check_values(pairs, settings, weights)
    return AdapterSummary(settings.largest_rank, settings.alpha, frozenset(pair.module for pair in pairs))
