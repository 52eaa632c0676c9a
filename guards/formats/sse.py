"""Server-sent events: reading and writing of whole events with JSON data. What cannot be read raises AnswerUnreadable.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from patchbay.core.errors import AnswerUnreadable, InvalidRequest
from patchbay.core.json_body import decoded

# An answer to the largest request may repeat the request: it has to fit.
MOST_EVENT_BYTES = 16 * 1024 * 1024
DONE = b"data: [DONE]\n\n"
_EMPTY_EVENT = b":\n\n"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_ENCODER = msgspec.json.Encoder()


class WholeEvents:
    """Cuts a stream that comes read by read into whole events, with LF at the ends of lines, however they came.

    What follows the last event's end is held back, up to `MOST_EVENT_BYTES`.
    """

    def __init__(self) -> None:
        self._held = bytearray()
        self._has_begun = False
        self._after_cr = False

    def take(self, data: bytes) -> bytes:
        """Takes the next read, and returns the events that are whole now.

        Raises AnswerUnreadable where one is too large.
        """
        data = self._with_lf(data)
        end = data.rfind(b"\n\n") + 2
        if end < 2:
            # The two line ends may have come in two reads.
            end = int(self._held.endswith(b"\n") and data.startswith(b"\n"))
        if not end:
            self._hold(data)
            return b""
        whole = bytes(self._held) + data[:end]
        self._held.clear()
        self._hold(data[end:])
        return self._without_mark(whole)

    def rest(self) -> bytes:
        """Returns what came after the last event's end, once nothing more comes."""
        rest = bytes(self._held)
        self.forget()
        return self._without_mark(rest) if rest else b""

    def forget(self) -> None:
        """Drops what is held back, for a stream that another replica goes on with."""
        self._held.clear()
        self._after_cr = False

    def _hold(self, data: bytes) -> None:
        self._held += data
        if len(self._held) > MOST_EVENT_BYTES:
            raise AnswerUnreadable(f"An event of the answer is larger than {MOST_EVENT_BYTES} bytes.")

    def _without_mark(self, events: bytes) -> bytes:
        if self._has_begun:
            return events
        self._has_begun = True
        return events.removeprefix(_BYTE_ORDER_MARK)

    def _with_lf(self, data: bytes) -> bytes:
        # A CRLF may be cut in two by the reads.
        text = data[1:] if self._after_cr and data.startswith(b"\n") else data
        self._after_cr = data.endswith(b"\r")
        return _with_lf(text)


def split(events: bytes) -> Iterator[tuple[bytes, Any]]:
    """Yields each event with its data, a JSON object.

    The data is None for `[DONE]`, and for an event without data, of which no text is left. Raises AnswerUnreadable
    where data is anything else.
    """
    for event in _with_lf(events).split(b"\n\n"):
        if event.strip(b"\n"):
            yield _read(event.lstrip(b"\n"))


def written(value: Any, name: str | None = None) -> bytes:
    """Returns an event with `value` as its JSON data. `name`: the event's type, if it has one.

    Raises AnswerUnreadable where that would be more than a line.
    """
    if name is not None and ("\n" in name or "\r" in name):
        raise AnswerUnreadable
    head = b"event: " + name.encode() + b"\n" if name is not None else b""
    return head + b"data: " + _ENCODER.encode(value) + b"\n\n"


def _read(event: bytes) -> tuple[bytes, Any]:
    # The usual form, on the path of every token: one line of data, nothing else.
    if event.startswith(b"data: {") and b"\n" not in event:
        return event + b"\n\n", _object(event[6:])
    lines = [line[5:].removeprefix(b" ") for line in event.split(b"\n") if line.startswith(b"data:")]
    text = b"\n".join(lines).strip()
    if not text:
        return _EMPTY_EVENT, None
    return (DONE, None) if text == b"[DONE]" else (event + b"\n\n", _object(text))


def _object(text: bytes) -> dict[str, Any]:
    try:
        value = decoded(text)
    except InvalidRequest as error:
        raise AnswerUnreadable from error
    if not isinstance(value, dict):
        raise AnswerUnreadable
    return value


def _with_lf(data: bytes) -> bytes:
    return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in data else data
