"""A bounded queue between the code that logs and the log's destination, emptied by a thread of its own.

A pipe that nobody reads blocks its writer. Here that is the thread: the event loop, and the processes whose output is
passed on, continue. Lines that do not fit are dropped and counted.
"""

import threading
from collections import deque
from collections.abc import Callable
from typing import Final

MOST_LINES: Final = 10_000
_FLUSH_S: Final = 1.0


class LogQueue:
    """The queue and its thread.

    `write`: writes a line; it may block, and its OSError or ValueError is ignored. `most`: the most lines that wait.
    `dropped`: the number of lines that did not fit; once there is room again, a line of the log reports it. `on_drop`:
    called for each of them, in the thread that logs.
    """

    def __init__(self, write: Callable[[str], None], most: int = MOST_LINES) -> None:
        self._write_line = write
        self._most = most
        self._lines: deque[str] = deque()
        self._unreported = 0
        self._writing = False
        # The condition's lock is reentrant, because a signal handler may log while this thread is in `put`.
        self._changed = threading.Condition()
        self.dropped = 0
        self.on_drop: Callable[[], None] = lambda: None
        threading.Thread(target=self._run, name="log", daemon=True).start()

    def put(self, line: str) -> None:
        """Queues a line where there is room, else drops it. Never blocks."""
        with self._changed:
            full = len(self._lines) >= self._most
            if full:
                self._unreported += 1
                self.dropped += 1
            else:
                if self._unreported:
                    self._lines.append(f"{self._unreported} lines of this log were dropped: nobody read it")
                    self._unreported = 0
                self._lines.append(line)
                self._changed.notify_all()
        if full:
            self.on_drop()

    def flush(self, timeout_s: float = _FLUSH_S) -> bool:
        """Waits until all lines are written, for `timeout_s` seconds at most. Returns whether they are."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._lines and not self._writing, timeout_s)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._writing = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._lines)
                line = self._lines.popleft()
                self._writing = True
            try:
                self._write_line(line)
            except (OSError, ValueError):
                # The reader has closed the log.
                continue
