"""Two things that only Linux does: telling a process of its parent's death, and adopting orphans.

Source: prctl(2), PR_SET_PDEATHSIG and PR_SET_CHILD_SUBREAPER.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def end_with_parent() -> Callable[[], None] | None:
    """What a child runs between fork and exec so that it gets SIGTERM when this process dies, however it dies.

    None on systems that cannot do this. The signal comes when the *thread* that started the child ends, too, so
    children are started on the main thread.
    """
    prctl = _prctl()
    if prctl is None:
        return None
    parent = os.getpid()

    def between_fork_and_exec() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGTERM)

    return between_fork_and_exec


def adopt_orphans() -> bool:
    """Makes this process the parent of every descendant that loses its own. Returns whether the system can."""
    prctl = _prctl()
    return prctl is not None and prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0


def _prctl() -> Callable[..., int] | None:
    """The C library's function, loaded here since nothing should be loaded after a fork."""
    if sys.platform != "linux":
        return None
    function: Callable[..., int] = ctypes.CDLL(None, use_errno=True).prctl
    return function
