"""The ends of events and of streams: where a read may be cut, and whether a stream's last events are its end. Pure."""

from typing import Any

import msgspec

ENDS = (b"\n\n", b"\r\n\r\n")
DONE = b"[DONE]"
_PARTIAL_EVENT_LIMIT = 64 * 1024


class _Choice(msgspec.Struct, frozen=True):
    finish_reason: str | None = None


class _LastEvent(msgspec.Struct, frozen=True):
    choices: tuple[_Choice, ...] = ()
    usage: Any = None


_LAST_EVENT = msgspec.json.Decoder(_LastEvent)


def ends_whole(events: bytes, *, by_reason: bool) -> bool:
    """Whether `events`, the last ones of a stream of completions, are its end.

    They are where they have `[DONE]`, or, with `by_reason`, an event with a finish reason that nothing but the count of
    tokens follows.
    """
    for line in reversed(events.splitlines()):
        if not line.startswith(b"data:"):
            continue
        data = line[5:].strip()
        if data == DONE:
            return True
        try:
            last = _LAST_EVENT.decode(data)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return False
        if last.choices:
            return by_reason and all(choice.finish_reason for choice in last.choices)
        if last.usage is None:
            return False
    return False


def split_events(data: bytes) -> tuple[bytes, bytes]:
    """Splits `data` after its last whole event. Returns the whole events, and the rest.

    A rest over 64 KiB counts as whole, which bounds the memory for a replica that ends no event. For streams without
    guards: `WholeEvents` cuts the others.
    Source: https://html.spec.whatwg.org/multipage/server-sent-events.html (events end with an empty line).
    """
    if data.endswith(ENDS):
        return data, b""
    cut = max(data.rfind(end) + len(end) if end in data else 0 for end in ENDS)
    if len(data) - cut > _PARTIAL_EVENT_LIMIT:
        return data, b""
    return data[:cut], data[cut:]
