"""Server-sent events: reading and writing of whole events with JSON data.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import re
from collections.abc import Iterator
from typing import Any

import msgspec

_EVENT_END = re.compile(rb"\r\n\r\n|\n\n")
_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder()
DONE = b"data: [DONE]\n\n"


def split(events: bytes) -> Iterator[tuple[bytes, Any]]:
    """Yields each event as it came, with its data as JSON, or None where that is no JSON object."""
    for event in _EVENT_END.split(events):
        if event:
            yield event + b"\n\n", _data(event)


def written(value: Any, name: str | None = None) -> bytes:
    """Returns an event with `value` as its JSON data. `name`: the event's type, if it has one."""
    head = b"event: " + name.encode() + b"\n" if name is not None else b""
    return head + b"data: " + _ENCODER.encode(value) + b"\n\n"


def _data(event: bytes) -> Any:
    # The usual form, on the path of every token: one line of data, nothing else.
    if event.startswith(b"data: {") and b"\n" not in event:
        text = event[6:]
    else:
        lines = [line[5:].removeprefix(b" ") for line in event.splitlines() if line.startswith(b"data:")]
        text = b"\n".join(lines)
    if not text.startswith(b"{"):
        return None
    try:
        return _DECODER.decode(text)
    except msgspec.DecodeError:
        return None
