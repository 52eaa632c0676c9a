"""Server-sent events, as they are read and written here.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from patchbay.core.errors import AnswerUnreadable
from patchbay.core.json_body import UNREADABLE

_APART = re.compile(rb"\r\n\r\n|\n\n")
_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder()
DONE = b"data: [DONE]\n\n"


def split(events: bytes) -> Iterator[tuple[bytes, Any]]:
    """Each event as it came, and the JSON object of its data, None where it has none or is the end. Raises
    AnswerUnreadable where its data is anything else: what cannot be read cannot be filtered."""
    for event in _APART.split(events):
        if event:
            yield event + b"\n\n", _data(event)


def written(value: Any, name: str | None = None) -> bytes:
    """An event with `value` as its data."""
    head = b"event: " + name.encode() + b"\n" if name is not None else b""
    return head + b"data: " + _ENCODER.encode(value) + b"\n\n"


def _data(event: bytes) -> Any:
    if event.startswith(b"data: {") and b"\n" not in event:
        text = event[6:]
    else:
        lines = [line[5:].removeprefix(b" ") for line in event.splitlines() if line.startswith(b"data:")]
        text = b"\n".join(lines)
    if not text.startswith(b"{"):
        if text.strip() not in (b"", b"[DONE]"):
            raise AnswerUnreadable
        return None
    try:
        return _DECODER.decode(text)
    except UNREADABLE as error:
        raise AnswerUnreadable from error
