"""A dead man's switch over this process: it ends, hard, where its event loop stands still or its end takes too long.

An orderly end can hang in many places: a call that nobody answers any more, a thread that is joined, a hook that runs
at exit. So whoever begins an end says how long it may take, and two clocks hold it to that: a thread, which kills what
is below this process, says what hung and exits; and two seconds after that a timer of the kernel's, whose signal needs
no part of this process to work, not even Python's lock.

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

_KERNEL_AFTER_S: Final = 2.0
_TELLING_S: Final = 0.3


class Watchdog:
    """The switch. `kill`: ends every process below this one; it may block.

    Make it on the main thread. It stays armed to the very end of the process.
    """

    def __init__(self, kill: Callable[[], None] = lambda: None) -> None:
        self._kill = kill
        self._news = threading.Condition()
        self._deadline: float | None = None
        self._code = 1
        self._why = ""

    @classmethod
    def start(cls, kill: Callable[[], None] = lambda: None) -> Self:
        """A switch whose thread runs."""
        made = cls(kill)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        threading.Thread(target=made._watch, name="dead man's switch", daemon=True).start()
        return made

    @property
    def ending(self) -> bool:
        """Whether an end has begun."""
        return self._deadline is not None

    def beat(self, stall_timeout_s: float) -> None:
        """Lets the process live for `stall_timeout_s` seconds more; without a beat in that time the kernel ends it.
        Changes nothing once an end has begun."""
        if self._deadline is None:
            signal.setitimer(signal.ITIMER_REAL, stall_timeout_s)

    def end_within(self, seconds: float, *, code: int, why: str) -> None:
        """Ends the process with exit code `code` unless it has ended by itself within `seconds`. `why` is what it says
        then. An end that was due earlier stays so. May be called by a signal's handler, and more than once."""
        deadline = time.monotonic() + seconds
        with self._news:
            if self._deadline is not None and self._deadline <= deadline:
                return
            self._deadline, self._code, self._why = deadline, code, why
            signal.setitimer(signal.ITIMER_REAL, seconds + _KERNEL_AFTER_S)
            self._news.notify_all()

    def _watch(self) -> None:
        with self._news:
            while (left := self._left()) is None or left > 0:
                self._news.wait(left)
        try:
            self._kill()
            self._tell()
        finally:
            os._exit(self._code)

    def _left(self) -> float | None:
        return None if self._deadline is None else self._deadline - time.monotonic()

    def _tell(self) -> None:
        """Says what hung. Whoever passes standard error on may be part of this process, so it gets a moment."""
        with contextlib.suppress(OSError):
            os.write(2, f"error: {self._why}; it did not end by itself, waiting in {_place()}.\n".encode())
        time.sleep(_TELLING_S)


def _place() -> str:
    """The place where the main thread is: a function, its file and line."""
    frame = sys._current_frames().get(threading.main_thread().ident or 0)  # noqa: SLF001 - there is no other way to ask
    if frame is None:
        return "no thread of its own"
    return f"{frame.f_code.co_name} ({Path(frame.f_code.co_filename).name}:{frame.f_lineno})"
