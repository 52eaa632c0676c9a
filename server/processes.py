"""The processes that the engine starts, and their end."""

import contextlib
from collections.abc import Iterable

import psutil

# Python's own: it frees the shared memory of those that were killed, and ends when nobody is left to track.
_TRACKER = "multiprocessing.resource_tracker"


def engine_processes() -> list[psutil.Process]:
    """Every process below this one, as of now."""
    return psutil.Process().children(recursive=True)


def kill(processes: Iterable[psutil.Process]) -> None:
    """Kills those of `processes` that still run, but not Python's resource tracker."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            if _TRACKER not in " ".join(process.cmdline()):
                process.kill()
