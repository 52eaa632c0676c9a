"""Process controls that only Linux has: ending a process with its parent, and adopting orphans.

Source: prctl(2), PR_SET_PDEATHSIG and PR_SET_CHILD_SUBREAPER.
"""

import ctypes
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def end_with_parent() -> Callable[[], None] | None:
    """Returns the function that a child runs between fork and exec so that it is killed when this process dies.

    The child is killed, and not asked to end, since nobody is left to repeat that. Returns None on systems that cannot
    do this. The signal comes when the *thread* that started the child ends, too, so start children on the main thread.
    """
    prctl = _prctl()
    if prctl is None:
        return None
    parent = os.getpid()

    def between_fork_and_exec() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        # The parent may have died before the call above.
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)

    return between_fork_and_exec


def end_with_spawner() -> None:
    """Has this process, which `multiprocessing` started, killed when the process that started it dies.

    Does nothing in any other process, or where the system cannot do this.
    """
    spawner = multiprocessing.parent_process()
    prctl = _prctl()
    if spawner is None or prctl is None:
        return
    prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != spawner.pid:
        os.kill(os.getpid(), signal.SIGKILL)


def adopt_orphans() -> bool:
    """Makes this process the parent of every descendant that loses its own. Returns whether the system can."""
    prctl = _prctl()
    return prctl is not None and prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0


def _prctl() -> Callable[..., int] | None:
    """Loads the C library's function, before a fork, since nothing should be loaded after one."""
    if sys.platform != "linux":
        return None
    function: Callable[..., int] = ctypes.CDLL(None, use_errno=True).prctl
    return function
