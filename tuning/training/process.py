"""The training process as its parent sees it: started, listened to, and what its end means."""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from patchbay.core.errors import PatchbayError
from patchbay.core.prctl import end_with_parent
from patchbay.tuning.training.advice import out_of_memory
from patchbay.tuning.training.recipe import TrainingRecipe
from patchbay.tuning.training.runs import LOG_FILE, read_record, update
from patchbay.tuning.training.telemetry import training_environment

Event = Mapping[str, Any]
_KILLED = -9


def run_worker(
    folder: Path, recipe: TrainingRecipe, take: Callable[[Event], None], launcher: Sequence[str] = ()
) -> int:
    """Trains the run in `folder` in a process of its own, and returns its exit code.

    `take`: is given each of its events; `launcher`: what starts it in place of Python, such as `accelerate launch`. The
    process is killed when this one dies. Raises PatchbayError where it was killed.
    """
    command = [*(launcher or (sys.executable,)), "-m", "patchbay.tuning.training.worker", str(folder)]
    with (folder / LOG_FILE).open("a", encoding="utf-8") as log:
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            encoding="utf-8",
            env=training_environment(recipe.track),
            preexec_fn=end_with_parent(),  # noqa: PLW1509 - started from the main thread, before any other
        )
        try:
            for line in process.stdout or ():
                if (event := event_of(line)) is not None:
                    take(event)
            return _ended(process.wait(), folder, recipe)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()


def event_of(line: str) -> Event | None:
    """Returns the event in a line of the process's output, None where it holds none."""
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) and "event" in found else None


def _ended(code: int, folder: Path, recipe: TrainingRecipe) -> int:
    if code >= 0:
        if code and read_record(folder).fault is None:
            update(folder, state="failed", fault=f"The process ended with {code}.")
            raise PatchbayError(f"Training ended with code {code}.", hint=f"{folder / LOG_FILE} has its last words.")
        return code
    if code == _KILLED:
        why = "The training process was killed, as the kernel does when memory runs out."
        raise PatchbayError(why, hint=f"The same command goes on from its last checkpoint. {out_of_memory(recipe)}")
    raise PatchbayError(
        f"The training process was ended by signal {-code}.",
        hint=f"The same command goes on from its last checkpoint; {folder / LOG_FILE} has its last words.",
    )
