"""Log of the router: lines of text for people, or of JSON for programs."""

import json
import logging
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from patchbay.core.log_queue import LogQueue

LogFormat = Literal["text", "json"]
Fields = Mapping[str, str | int | float]
_FIELDS = "patchbay_fields"
_LINE = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class QueuedHandler(logging.Handler):
    """Log handler that gives records, as lines, to a queue."""

    def __init__(self, lines: LogQueue) -> None:
        super().__init__()
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        """Queues one record. `logging` handles one that cannot be formatted, as in every handler."""
        try:
            self._lines.put(self.format(record))
        except Exception:  # noqa: BLE001 - logging's rule for handlers: a record never breaks whoever logs it
            self.handleError(record)


def log_to_stderr(form: LogFormat, *, verbose: bool) -> LogQueue:
    """Sends what this process logs to standard error, a record a line (in text a traceback has lines of its own).

    `form`: text or JSON; `verbose`: whether to log debug records and uvicorn too. Returns the queue of lines: flush it
    before the process ends.
    """
    lines = LogQueue(_to_stderr)
    handler = QueuedHandler(lines)
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter(_LINE))
    logging.basicConfig(handlers=[handler])
    # The router itself logs what went wrong with a request. uvicorn would add a traceback for every broken stream.
    logging.getLogger("uvicorn").setLevel(logging.INFO if verbose else logging.CRITICAL)
    logging.getLogger("patchbay").setLevel(logging.DEBUG if verbose else logging.INFO)
    return lines


def _to_stderr(line: str) -> None:
    # Not through `sys.stderr`: while nobody reads, a write would keep its lock and block all others who write there.
    data = f"{line}\n".encode(errors="replace")
    while data:
        data = data[os.write(2, data) :]


def log_fields(log: logging.Logger, message: str, fields: Fields) -> None:
    """Logs `message` with `fields`, which are keys of their own in JSON and `name=value` in text."""
    log.info("%s", message, extra={_FIELDS: fields})


class TextFormatter(logging.Formatter):
    """Log formatter for people: the usual line, and after it the record's fields that are not empty."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's own name
        fields = _fields_of(record)
        text = "".join(f" {name}={value}" for name, value in fields.items() if value != "")
        return super().formatMessage(record) + text


class JsonFormatter(logging.Formatter):
    """Log formatter for programs: one JSON object with `time` (ISO 8601, UTC), `level`, `logger`, `message`, the
    record's fields, and `exception` where there is one. `time` comes first: `patchbay up` knows such lines by that."""

    def format(self, record: logging.LogRecord) -> str:
        """Formats the record as one line."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **_fields_of(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def _fields_of(record: logging.LogRecord) -> Fields:
    fields: Fields = getattr(record, _FIELDS, {})
    return fields
