"""The reporters of a run without a terminal: lines of text, or JSON for programs."""

import json
from collections.abc import Sequence
from typing import Final, TextIO

from patchbay.launch.events import Event, as_json

OURS: Final = "patchbay"
# The start of a log record in JSON. Such records must have no prefix, or their readers could not parse them.
_RECORD: Final = '{"time": "'


class PlainReporter:
    """A reporter of text lines, each with its process's name before it; records in JSON stay as they are.

    `names`: the processes' names, for the width of the prefix.
    """

    def __init__(self, stream: TextIO, names: Sequence[str]) -> None:
        self._stream = stream
        self._width = max(len(name) for name in (*names, OURS))

    def lines(self, process: str, lines: Sequence[str]) -> None:
        """Writes `lines` in one go."""
        prefix = f"{process:<{self._width}} | "
        self._stream.write("".join(f"{line}\n" if line.startswith(_RECORD) else f"{prefix}{line}\n" for line in lines))
        self._stream.flush()

    def event(self, event: Event) -> None:
        """Writes `event` in words."""
        if text := event.sentence():
            self.lines(OURS, [text])


class JsonReporter:
    """A reporter of one JSON line for every event, with the logs on a stream of their own."""

    def __init__(self, events: TextIO, logs: PlainReporter) -> None:
        self._events = events
        self._logs = logs

    def lines(self, process: str, lines: Sequence[str]) -> None:
        """Writes `lines` to the logs."""
        self._logs.lines(process, lines)

    def event(self, event: Event) -> None:
        """Writes `event` as a line of JSON."""
        self._events.write(json.dumps(as_json(event), ensure_ascii=False) + "\n")
        self._events.flush()
