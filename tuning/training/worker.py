"""The process that trains one run: `python -m patchbay.tuning.training.worker FOLDER`.

It tells of its steps by JSON lines on the standard output that it was started with; what libraries print goes to
standard error.
"""

import json
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from patchbay.core.distribution import translated_imports
from patchbay.core.errors import PatchbayError
from patchbay.core.exit_codes import fail
from patchbay.tuning.training.advice import is_out_of_memory, out_of_memory
from patchbay.tuning.training.runs import read_record, update


def main(arguments: list[str]) -> int:
    """Trains the run in the folder that `arguments` names, and returns the exit code."""
    folder = Path(arguments[0])
    tell = teller(_own_output())
    try:
        with translated_imports():
            from patchbay.tuning.training.train import train

            train(folder, tell)
    except PatchbayError as error:
        return _failed(folder, tell, error)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            traceback.print_exc()
            return _failed(folder, tell, PatchbayError(f"Training failed: {_first_line(error)}"))
        recipe = read_record(folder).parsed()
        return _failed(folder, tell, PatchbayError("The memory did not suffice.", hint=out_of_memory(recipe)))
    return 0


def teller(output: TextIO) -> Callable[..., None]:
    """Returns what writes an event, by its name and fields, as a JSON line to `output`."""

    def tell(event: str, **fields: Any) -> None:
        # Of several processes of one run, the first alone speaks.
        if os.environ.get("RANK", "0") == "0":
            output.write(f"{json.dumps({'event': event, **fields}, ensure_ascii=False)}\n")
            output.flush()

    return tell


def _own_output() -> TextIO:
    """Keeps standard output for events: what libraries print there goes to standard error from now on."""
    kept = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return kept


def _failed(folder: Path, tell: Callable[..., None], error: PatchbayError) -> int:
    state = read_record(folder).state
    update(folder, state="diverged" if state == "diverged" else "failed", fault=str(error))
    tell("error", message=error.message, hint=error.hint)
    return fail(error)


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)[:300]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
