"""The watchdog of a process, which ends it hard where its event loop stands still or its shutdown takes too long.

An orderly shutdown can hang in many places: a call that nobody answers any more, a thread that is joined, a hook that
runs at exit. So the code that begins a shutdown sets its time limit, and two clocks enforce it. The first is a thread,
which kills the processes below this one, reports what hung and exits. The second, two seconds later, is a timer of the
kernel's: its signal needs no part of this process to work, not even Python's global lock.

Source: setitimer(2); the default action of SIGALRM is to end the process, signal(7).
"""

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Self

_KERNEL_GRACE_S: Final = 2.0
_REPORT_S: Final = 0.3


class Watchdog:
    """The time limits on a process's stalls and on its shutdown.

    `kill`: ends every process below this one; it may block. Make it on the main thread. It stays armed to the very end
    of the process.
    """

    def __init__(self, kill: Callable[[], None] = lambda: None) -> None:
        self._kill = kill
        self._changed = threading.Condition()
        self._deadline: float | None = None
        self._code = 1
        self._why = ""

    @classmethod
    def start(cls, kill: Callable[[], None] = lambda: None) -> Self:
        """Makes a watchdog and starts its thread. `kill`: as of the class."""
        watchdog = cls(kill)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        threading.Thread(target=watchdog._watch, name="dead man's switch", daemon=True).start()
        return watchdog

    @property
    def ending(self) -> bool:
        """Whether a shutdown has begun."""
        return self._deadline is not None

    def beat(self, stall_timeout_s: float) -> None:
        """Lets the process live for `stall_timeout_s` seconds more; without a beat in that time the kernel ends it.

        Changes nothing once a shutdown has begun.
        """
        if self._deadline is None:
            signal.setitimer(signal.ITIMER_REAL, stall_timeout_s)

    def end_within(self, seconds: float, *, code: int, why: str) -> None:
        """Ends the process with exit code `code` unless it has ended by itself within `seconds`.

        `why`: the reason that it reports then. An earlier deadline stays in force. A signal handler may call this, and
        it may be called more than once.
        """
        deadline = time.monotonic() + seconds
        # The condition's lock is reentrant: a signal may come while the main thread is in here.
        with self._changed:
            if self._deadline is not None and self._deadline <= deadline:
                return
            self._deadline, self._code, self._why = deadline, code, why
            signal.setitimer(signal.ITIMER_REAL, seconds + _KERNEL_GRACE_S)
            self._changed.notify_all()

    def _watch(self) -> None:
        """Waits for the deadline, which may move while it waits, then kills and exits."""
        with self._changed:
            while (remaining_s := self._remaining_s()) is None or remaining_s > 0:
                self._changed.wait(remaining_s)
        try:
            self._kill()
            self._report_hang()
        finally:
            os._exit(self._code)

    def _remaining_s(self) -> float | None:
        return None if self._deadline is None else self._deadline - time.monotonic()

    def _report_hang(self) -> None:
        """Reports on standard error what hung.

        A thread of this process may have to pass standard error on, so it gets a moment to do so.
        """
        with contextlib.suppress(OSError):
            os.write(2, f"error: {self._why}; it did not end by itself, waiting in {_main_thread_place()}.\n".encode())
        time.sleep(_REPORT_S)


def _main_thread_place() -> str:
    """Returns the place that the main thread is at: a function, its file and line."""
    frame = sys._current_frames().get(threading.main_thread().ident or 0)  # noqa: SLF001 - there is no other way to ask
    if frame is None:
        return "no thread of its own"
    return f"{frame.f_code.co_name} ({Path(frame.f_code.co_filename).name}:{frame.f_lineno})"
