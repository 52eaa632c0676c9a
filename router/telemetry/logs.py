"""The router's log: lines of text for people, or of JSON for programs."""

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
    """Hands records, as lines, to a queue."""

    def __init__(self, lines: LogQueue) -> None:
        super().__init__()
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        """Takes one record. One that cannot be formatted is logging's own business, as in every handler."""
        try:
            self._lines.put(self.format(record))
        except Exception:  # noqa: BLE001 - logging's rule for handlers: a record never breaks whoever logs it
            self.handleError(record)


def log_to_stderr(form: LogFormat, *, verbose: bool) -> LogQueue:
    """Sends what this process logs to standard error, a record a line (in text a traceback follows in its own ones).
    `verbose`: more of it. Returns the queue that it goes through: flush it before the process ends."""
    lines = LogQueue(_to_stderr)
    handler = QueuedHandler(lines)
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter(_LINE))
    logging.basicConfig(handlers=[handler])
    # The router itself says what went wrong with a request; uvicorn would add a traceback to every broken stream.
    logging.getLogger("uvicorn").setLevel(logging.INFO if verbose else logging.CRITICAL)
    logging.getLogger("patchbay").setLevel(logging.DEBUG if verbose else logging.INFO)
    return lines


def _to_stderr(line: str) -> None:
    # Not through `sys.stderr`: its lock would be held while nobody reads, and with it whoever else writes there.
    data = f"{line}\n".encode(errors="replace")
    while data:
        data = data[os.write(2, data) :]


def log_fields(log: logging.Logger, message: str, fields: Fields) -> None:
    """Logs `message` with `fields`, which are keys of their own in JSON and `name=value` in text."""
    log.info("%s", message, extra={_FIELDS: fields})


class TextFormatter(logging.Formatter):
    """The usual line, and after it the record's fields that are not empty."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's own name
        fields = _fields_of(record)
        told = "".join(f" {name}={value}" for name, value in fields.items() if value != "")
        return super().formatMessage(record) + told


class JsonFormatter(logging.Formatter):
    """One JSON object: `time` (ISO 8601, UTC), `level`, `logger`, `message`, the record's fields, and `exception` where
    there is one. `time` comes first: `patchbay up` knows such lines by that."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line."""
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
