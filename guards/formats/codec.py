"""The codec protocol that all wire formats of streams share, and the error by which a guard ends a stream."""

from collections.abc import Callable
from typing import Any, Protocol

from patchbay.core.errors import AnswerUnreadable, PatchbayError
from patchbay.guards.formats.sse import split


class StreamStopped(PatchbayError):
    """Raised where a guard ends the answer. `last`: its last events, which still go out; the engine's work on it
    stops."""

    def __init__(self, last: bytes) -> None:
        super().__init__("A guard has ended the answer.")
        self.last = last


# Returns the tokens of the prompt and of the answer so far.
Used = Callable[[], tuple[int, int]]


def each_event(events: bytes, filtered: Callable[[bytes, Any], bytes]) -> bytes:
    """Returns what goes out of whole `events`. `filtered`: returns that of one, from its bytes and its data.

    Raises what it raises; where a guard ends the answer, with what goes out of the events before.
    """
    out: list[bytes] = []
    try:
        for event, data in split(events):
            out.append(filtered(event, data))
    except StreamStopped as stop:
        raise StreamStopped(b"".join(out) + stop.last) from stop
    return b"".join(out)


def block_number(value: Any) -> Any:
    """Returns the number of a choice or a block, None where it has none. Raises AnswerUnreadable where it is no
    number."""
    if value is not None and not isinstance(value, int):
        raise AnswerUnreadable
    return value


class Codec(Protocol):
    """Filters one streamed answer in its wire format."""

    def feed(self, events: bytes) -> bytes:
        """Takes whole events, and returns those that may go out now.

        Raises StreamStopped, and AnswerUnreadable where an event cannot be read.
        """

    def finish(self) -> bytes:
        """Returns what is still to go out where a stream ends without an event that says so."""

    def stop(self, held: bytes) -> bytes:
        """Returns the events that end the answer where it is. `held`: events that the client has not received, and will
        not."""
