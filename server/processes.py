"""The processes that the engine starts: finding them, and killing those that remain at the end."""

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

import psutil

# Python's own process: it frees the shared memory of killed processes, and ends when none is left to track.
_TRACKER = "multiprocessing.resource_tracker"
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - where the system keeps it


def engine_processes() -> list[psutil.Process]:
    """Lists every process below this one, as of now."""
    return psutil.Process().children(recursive=True)


def kill(processes: Iterable[psutil.Process]) -> None:
    """Kills those of `processes` that still run, but not Python's resource tracker, and frees what OpenMP left.

    Source of the name: LLVM's openmp/runtime/src/kmp_runtime.cpp, __kmp_reg_status_name.
    """
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            if _TRACKER not in " ".join(process.cmdline()):
                process.kill()
        (_SHARED_MEMORY / f"__KMP_REGISTERED_LIB_{process.pid}_{os.getuid()}").unlink(missing_ok=True)
