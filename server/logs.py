"""A filter of the engine's output that folds each traceback into the one line that says what went wrong."""

import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from patchbay.core.log_queue import LogQueue

_PREFIX = re.compile(
    r"^(?P<process>\(\S+ pid=\d+\) )?(?P<level>[A-Z]+ \d\d-\d\d \d\d:\d\d:\d\d )(?P<place>\[[^\]]*\] ?)"
)
_RAISED = re.compile(r"^(?P<kind>[A-Za-z_][\w.]*(?:Error|Exception|Interrupt|Exit)): (?P<message>.*)")
_CHAINED = re.compile(r"^(The above exception was the direct cause|During handling of the above exception)")
# Every process of the engine prints these lines at every start. They are of no use to operators.
_NOISE = re.compile(r"NUMA binding|Triton not available|FutureWarning|^\s*(if hasattr|wrapper = lookup)|^\s*\^+$")


class TracebackFold:
    """A filter of lines that turns each traceback into its last line. Does no I/O.

    `root_cause`: the first exception of the newest chain of tracebacks, as `ValueError: message`. Nothing of a
    traceback is shown before `show_errors` is set: until then the process itself reports why it cannot start.
    """

    def __init__(self) -> None:
        self.show_errors = False
        self._in_traceback = False
        self._chained = False
        self.root_cause: str | None = None

    def feed(self, line: str) -> str | None:
        """Returns what to show of `line` (without a line end), or None for nothing."""
        match = _PREFIX.match(line)
        text = line[match.end() :] if match else line
        if text.startswith("Traceback (most recent call last)"):
            self._in_traceback = True
            return None
        if self._in_traceback:
            return self._fold(text, line[: match.end()] if match else "")
        if _CHAINED.match(text):
            self._chained = True
            return None
        if match and match["level"].startswith("ERROR") and not self.show_errors:
            return None
        return None if not text.strip() or _NOISE.search(text) else line

    def _fold(self, text: str, prefix: str) -> str | None:
        if not (raised := _RAISED.match(text)):
            return None
        self._in_traceback = False
        if not self._chained:
            self.root_cause = f"{raised['kind'].rpartition('.')[2]}: {raised['message']}"
        self._chained = False
        return f"{prefix}{text}" if self.show_errors else None


@contextmanager
def folded_output(*, verbose: bool) -> Iterator[TracebackFold]:
    """Passes this process's standard output and error, and its children's, through a fold, unless `verbose`.

    Works on the file descriptors, because vLLM's child processes write to them directly.
    """
    fold = TracebackFold()
    if verbose:
        yield fold
        return
    reader, writer = os.pipe()
    saved = os.dup(1), os.dup(2)
    for descriptor in (1, 2):
        os.dup2(writer, descriptor)
    os.close(writer)
    lines = LogQueue(partial(_put, saved[1]))
    thread = threading.Thread(target=_copy, args=(reader, lines, fold), name="log fold", daemon=True)
    thread.start()
    try:
        yield fold
    finally:
        for descriptor, original in zip((1, 2), saved, strict=True):
            os.dup2(original, descriptor)
        # The thread ends when the last child has closed its end of the pipe. A child that lingers must not delay us.
        thread.join(timeout=1.0)
        lines.flush()


def _copy(reader: int, target: LogQueue, fold: TracebackFold) -> None:
    """Copies lines through `fold` until the pipe closes.

    Reads on even where nobody reads `target`: the engine's processes would block on a full pipe otherwise.
    """
    with os.fdopen(reader, "r", encoding="utf-8", errors="replace", newline="\n") as lines:
        for line in lines:
            folded = fold.feed(line.rstrip("\r\n"))
            if folded is not None:
                target.put(folded)


def _put(target: int, line: str) -> None:
    data = f"{line}\n".encode()
    while data:
        data = data[os.write(target, data) :]
