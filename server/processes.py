"""The processes that the engine starts: finding them, having them tell where they are, and killing what remains."""

import contextlib
import faulthandler
import os
import signal
from collections.abc import Iterable
from pathlib import Path

import psutil

# Python's own process: it frees the shared memory of killed processes, and ends when none is left to track.
_TRACKER = "multiprocessing.resource_tracker"
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - where the system keeps it


def engine_processes() -> list[psutil.Process]:
    """Lists every process below this one, as of now."""
    return psutil.Process().children(recursive=True)


def tell_stacks_on_signal() -> None:
    """Makes this process print the stacks of all its threads to standard error on SIGUSR2, and go on."""
    faulthandler.register(signal.SIGUSR2, all_threads=True)


def print_stacks(processes: Iterable[psutil.Process]) -> None:
    """Has those of `processes` that `tell_stacks_on_signal` was called in print their stacks: others may end by it."""
    for process in processes:
        with contextlib.suppress(psutil.Error):
            if _TRACKER not in " ".join(process.cmdline()):
                process.send_signal(signal.SIGUSR2)


def kill(processes: Iterable[psutil.Process]) -> None:
    """Kills those of `processes` that still run, but not Python's resource tracker, and frees what OpenMP left.

    Source of the name: LLVM's openmp/runtime/src/kmp_runtime.cpp, __kmp_reg_status_name.
    """
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            if _TRACKER not in " ".join(process.cmdline()):
                process.kill()
        (_SHARED_MEMORY / f"__KMP_REGISTERED_LIB_{process.pid}_{os.getuid()}").unlink(missing_ok=True)
