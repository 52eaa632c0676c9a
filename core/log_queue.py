"""A bounded queue between who logs and where the log goes, emptied by a thread of its own.

A pipe that nobody reads stops whoever writes to it. Here that is the thread: the event loop, and the processes whose
output is passed on, go on, and the lines that do not fit are dropped and counted.
"""

import threading
from collections import deque
from collections.abc import Callable
from typing import Final

MOST_LINES: Final = 10_000
_FLUSH_S: Final = 1.0


class LogQueue:
    """`write`: writes a line; may block, and OSError from it is nobody's to be told. `most`: lines that wait at most.

    `dropped`: lines that did not fit; once there is room again a line of the log says how many. `on_drop`: called for
    each, by whoever logs.
    """

    def __init__(self, write: Callable[[str], None], most: int = MOST_LINES) -> None:
        self._out = write
        self._most = most
        self._lines: deque[str] = deque()
        self._untold = 0
        self._writing = False
        # Its lock may be taken again by the same thread: a signal's handler may log.
        self._news = threading.Condition()
        self.dropped = 0
        self.on_drop: Callable[[], None] = lambda: None
        threading.Thread(target=self._write, name="log", daemon=True).start()

    def put(self, line: str) -> None:
        """Takes a line where there is room; never blocks."""
        with self._news:
            full = len(self._lines) >= self._most
            if full:
                self._untold += 1
                self.dropped += 1
            else:
                if self._untold:
                    self._lines.append(f"{self._untold} lines of this log were dropped: nobody read it")
                    self._untold = 0
                self._lines.append(line)
                self._news.notify_all()
        if full:
            self.on_drop()

    def flush(self, timeout_s: float = _FLUSH_S) -> bool:
        """Waits until all is written, for `timeout_s` seconds at most. Returns whether it is."""
        with self._news:
            return self._news.wait_for(lambda: not self._lines and not self._writing, timeout_s)

    def _write(self) -> None:
        while True:
            with self._news:
                self._writing = False
                self._news.notify_all()
                self._news.wait_for(lambda: self._lines)
                line = self._lines.popleft()
                self._writing = True
            try:
                self._out(line)
            except (OSError, ValueError):
                # Whoever read it has closed it.
                continue
