"""Server-sent events, as they are read and written here. What cannot be read is no event: GuardFailed.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from patchbay.core.errors import GuardFailed, InvalidRequest
from patchbay.core.json_body import decoded

# What a replica's answer to the largest request still is, which says the request again.
MOST_EVENT_BYTES = 16 * 1024 * 1024
DONE = b"data: [DONE]\n\n"
_NOTHING_SAID = b":\n\n"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_ENCODER = msgspec.json.Encoder()


class WholeEvents:
    """The whole events of a stream that comes read by read: its lines end with LF, however they came. What is held
    back is what follows the last event's end, up to a bound."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._begun = False
        self._after_cr = False

    def take(self, data: bytes) -> bytes:
        """The events that are whole with `data`. Raises GuardFailed where one is longer than may be."""
        data = self._lines(data)
        end = data.rfind(b"\n\n") + 2
        if end < 2:
            # The two line ends may have come in two reads.
            end = int(self._held.endswith(b"\n") and data.startswith(b"\n"))
        if not end:
            self._hold(data)
            return b""
        ready = bytes(self._held) + data[:end]
        self._held.clear()
        self._hold(data[end:])
        return self._unmarked(ready)

    def rest(self) -> bytes:
        """What came after the last event's end, once nothing more comes."""
        rest = bytes(self._held)
        self.forget()
        return self._unmarked(rest) if rest else b""

    def forget(self) -> None:
        """Begins anew within a stream that goes on from elsewhere."""
        self._held.clear()
        self._after_cr = False

    def _hold(self, data: bytes) -> None:
        self._held += data
        if len(self._held) > MOST_EVENT_BYTES:
            raise GuardFailed(f"An event of the answer is larger than {MOST_EVENT_BYTES} bytes.")

    def _unmarked(self, ready: bytes) -> bytes:
        if self._begun:
            return ready
        self._begun = True
        return ready.removeprefix(_BYTE_ORDER_MARK)

    def _lines(self, data: bytes) -> bytes:
        """`data` with its line ends as LF."""
        told = data[1:] if self._after_cr and data.startswith(b"\n") else data
        self._after_cr = data.endswith(b"\r")
        return _with_lf(told)


def split(events: bytes) -> Iterator[tuple[bytes, Any]]:
    """Each event, and the JSON object that its data is; None for `[DONE]`, and for what says nothing to a client: of
    that no text is left. Raises GuardFailed where data is anything else."""
    for event in _with_lf(events).split(b"\n\n"):
        if event.strip(b"\n"):
            yield _read(event.lstrip(b"\n"))


def written(value: Any, name: str | None = None) -> bytes:
    """An event with `value` as its data."""
    head = b"event: " + name.encode() + b"\n" if name is not None else b""
    return head + b"data: " + _ENCODER.encode(value) + b"\n\n"


def _read(event: bytes) -> tuple[bytes, Any]:
    if event.startswith(b"data: {") and b"\n" not in event:
        return event + b"\n\n", _object(event[6:])
    lines = [line[5:].removeprefix(b" ") for line in event.split(b"\n") if line.startswith(b"data:")]
    text = b"\n".join(lines).strip()
    if not text:
        return _NOTHING_SAID, None
    return (DONE, None) if text == b"[DONE]" else (event + b"\n\n", _object(text))


def _object(text: bytes) -> dict[str, Any]:
    try:
        found = decoded(text)
    except InvalidRequest as error:
        raise GuardFailed("An event of the answer could not be read, so it was not let through.") from error
    if not isinstance(found, dict):
        raise GuardFailed("An event of the answer could not be read, so it was not let through.")
    return found


def _with_lf(data: bytes) -> bytes:
    return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in data else data
