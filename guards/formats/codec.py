"""The end that a guard puts to a stream, and what all wire formats have in common."""

from collections.abc import Callable
from typing import Protocol

from patchbay.core.errors import PatchbayError


class StreamStopped(PatchbayError):
    """A guard has ended the answer: `last`, its last events, go out, and the engine's work on it stops."""

    def __init__(self, last: bytes) -> None:
        super().__init__("A guard has ended the answer.")
        self.last = last


# Tokens of the prompt and of the answer so far.
Used = Callable[[], tuple[int, int]]


class Codec(Protocol):
    """One streamed answer in its wire format."""

    def feed(self, events: bytes) -> bytes:
        """What may go out for `events`, which are whole. Raises StreamStopped, and GuardFailed where one cannot be
        read."""

    def finish(self) -> bytes:
        """What is still to go out where the stream ends without saying so."""

    def stop(self, held: bytes) -> bytes:
        """What ends the answer where it is. `held`: events that the client has not had, and will not."""
