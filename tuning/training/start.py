"""The start of a run: its record, from the recipe, the rows, the base and this machine."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import distributions, version
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from patchbay.adapters.checks.base import BaseLayout
from patchbay.adapters.digest import digest_of
from patchbay.core.errors import ConfigError
from patchbay.tuning.training.data import find_sources
from patchbay.tuning.training.recipe import TrainingRecipe, recipe_digest
from patchbay.tuning.training.runs import (
    RunRecord,
    Step,
    find_record,
    identity,
    next_step,
    now,
    put_aside,
    write_record,
)

_PACKAGES: Final = ("torch", "transformers", "trl", "peft", "accelerate", "datasets", "patchbay-serve")


def run_folder(recipe: TrainingRecipe) -> Path:
    """Returns the folder of the recipe's run."""
    return recipe.output or Path("runs") / recipe.name


def wanted_record(recipe: TrainingRecipe, command: str) -> RunRecord:
    """Makes the record of a run that has not begun. Raises ConfigError where its rows or its base do not exist."""
    if not recipe.base.is_dir():
        raise ConfigError(
            f"There is no base model in {recipe.base}.",
            hint="Name the folder of the base that serves: `patchbay demo build` makes a small one.",
        )
    check_trackers(recipe.track)
    layout = BaseLayout.of_folder(recipe.base)
    sources = find_sources(recipe)
    digest, base = recipe_digest(recipe), layout.fingerprint if layout else None
    return RunRecord(
        name=recipe.name,
        identity=identity(digest, sources.all_digests, base),
        recipe=recipe.model_dump(mode="json"),
        recipe_digest=digest,
        data=asdict(sources),
        data_digest=sources.digest,
        base_fingerprint=base,
        seed=recipe.seed,
        threads=recipe.compute.threads or own_threads(),
        command=command,
        commit=commit_of(run_folder(recipe).parent),
        versions=versions(),
        environment_digest=environment_digest(),
        began=now(),
    )


def check_trackers(track: Sequence[str]) -> None:
    """Raises ConfigError for a tracker that is not installed."""
    missing = [name for name in track if find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"track: {missing[0]} is not installed here.",
            hint=f"Install it: pip install {' '.join(missing)}. The run's own record needs none.",
        )


def open_run(folder: Path, wanted: RunRecord, *, fresh: bool = False) -> tuple[Step, RunRecord]:
    """Begins the run `wanted` in `folder`, or takes up the one that is there. `fresh`: that one is put aside.

    Raises Conflict where another run is there.
    """
    if fresh and find_record(folder) is not None:
        put_aside(folder)
    found = find_record(folder)
    step = next_step(found, wanted)
    if found is None:
        return step, write_record(folder, wanted)
    if step == "done":
        return step, found
    # The base and the rows may have moved; the threads must not change, or sums would.
    moved = {"recipe": wanted.recipe, "data": wanted.data}
    return step, write_record(folder, found.model_copy(update=moved))


def own_threads() -> int:
    """Returns how many processors this process may use, or OMP_NUM_THREADS."""
    chosen = os.environ.get("OMP_NUM_THREADS", "")
    return int(chosen) if chosen.isdigit() and int(chosen) else len(os.sched_getaffinity(0))


def versions() -> dict[str, str]:
    """Returns the versions of the packages that compute."""
    return {name: version(name) for name in _PACKAGES}


def environment_digest() -> str:
    """Returns the SHA-256 in hex of all packages that are installed, and their versions."""
    return digest_of({one.metadata["Name"].lower(): one.version for one in distributions()})


def commit_of(folder: Path) -> str | None:
    """Returns the commit of the git repository that `folder` is in, with `-dirty` where files differ from it."""
    git = shutil.which("git")
    if git is None:
        return None
    while not folder.is_dir():
        folder = folder.parent
    found = subprocess.run(
        [git, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return found.stdout.strip() or None
