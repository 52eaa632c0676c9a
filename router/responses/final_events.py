"""The last event of a streamed response, which is held back until it is known whether the response is kept. Pure.

Events are known by their line `event:`, as OpenAI and vLLM write it; data that is not looked at stays as it was.

Source: https://platform.openai.com/docs/api-reference/responses-streaming
"""

import re

import msgspec

from patchbay.core.json_body import UNREADABLE
from patchbay.registry.responses import ConversationEnd

_FINAL = re.compile(rb"^event: ?response\.(?:completed|incomplete|failed)$", re.MULTILINE)
_FIRST = re.compile(rb"^event: ?response\.(?:created|queued|in_progress)$", re.MULTILINE)
_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
# A first event has the request's own instructions and tools in it. Above this it is passed on as it is: to change it
# takes longer than the event loop has.
_LONGEST_FIRST = 64 * 1024


class FinalEvents:
    """Cutter of one stream, in reads of whole events. `previous`: what the response goes on from, for its first events;
    `held`: the final event, and whatever came after it."""

    def __init__(self, previous: ConversationEnd | None) -> None:
        self._previous = previous
        self.held = b""

    def pass_on(self, events: bytes) -> bytes:
        """Takes the next events, and returns those that may go out now."""
        if self.held:
            self.held += events
            return b""
        match = _FINAL.search(events)
        if match is not None:
            cut = _beginning(events, match.start())
            events, self.held = events[:cut], events[cut:]
        if self._previous is not None and len(events) <= _LONGEST_FIRST and _FIRST.search(events):
            return b"".join(self._with_previous(event) for event in _split(events))
        return events

    def _with_previous(self, event: bytes) -> bytes:
        if _FIRST.search(event) is None or self._previous is None:
            return event
        # Whether it is kept is said at its end.
        return with_response(event, _previous_in(response_in(event), self._previous))


def split_final(events: bytes) -> tuple[bytes, bytes, bytes]:
    """Splits events at the final one among them: those before it, itself, and those after it."""
    match = _FINAL.search(events)
    if match is None:
        return events, b"", b""
    begin = _beginning(events, match.start())
    end = events.find(b"\n\n", match.end())
    end = len(events) if end < 0 else end + 2
    return events[:begin], events[begin:end], events[end:]


def response_in(event: bytes) -> bytes:
    """Returns the response object in an event, empty where there is none."""
    try:
        return bytes(_FIELDS.decode(_data_of(event)).get("response", b""))
    except UNREADABLE:
        return b""


def with_response(event: bytes, response: bytes) -> bytes:
    """Returns an event with another response object in it, where it can be read."""
    if not response:
        return event
    try:
        fields = _FIELDS.decode(_data_of(event))
    except UNREADABLE:
        return event
    head = b"".join(line + b"\n" for line in event.rstrip(b"\n").split(b"\n") if not line.startswith(b"data:"))
    return head + b"data: " + msgspec.json.encode({**fields, "response": msgspec.Raw(response)}) + b"\n\n"


def _previous_in(response: bytes, previous: ConversationEnd) -> bytes:
    try:
        fields = _FIELDS.decode(response)
    except UNREADABLE:
        return b""
    return msgspec.json.encode({**fields, "previous_response_id": msgspec.Raw(msgspec.json.encode(previous.id))})


def _beginning(events: bytes, place: int) -> int:
    """Returns where the event begins that `place` is in."""
    end = events.rfind(b"\n\n", 0, place)
    return 0 if end < 0 else end + 2


def _split(events: bytes) -> list[bytes]:
    return [event + b"\n\n" for event in events.split(b"\n\n") if event.strip(b"\n")]


def _data_of(event: bytes) -> bytes:
    return b"\n".join(line[5:].removeprefix(b" ") for line in event.split(b"\n") if line.startswith(b"data:"))
