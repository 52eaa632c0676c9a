"""The end that a guard puts to a stream, and what all wire formats have in common."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

import msgspec

from patchbay.core.errors import AnswerUnreadable, PatchbayError

# What reading a JSON value raises that has another shape than its format: null for a list, say, or a list for a name.
_MISSHAPEN = (AttributeError, TypeError, LookupError, ValueError, ArithmeticError, RecursionError, msgspec.MsgspecError)


@contextmanager
def readable() -> Iterator[None]:
    """Reads an answer in the block. Raises AnswerUnreadable where it has not the shape of its format."""
    try:
        yield
    except _MISSHAPEN as error:
        raise AnswerUnreadable from error


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
        """What may go out for `events`, which are whole. Raises StreamStopped."""

    def finish(self) -> bytes:
        """What is still to go out where the stream ends without saying so."""

    def stop(self, held: bytes) -> bytes:
        """What ends the answer where it is. `held`: events that the client has not had, and will not."""


class StrictCodec:
    """A `Codec` that takes what a replica may say: what `codec` cannot read raises AnswerUnreadable."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec

    def feed(self, events: bytes) -> bytes:
        """As `Codec` says."""
        with readable():
            return self._codec.feed(events)

    def finish(self) -> bytes:
        """As `Codec` says."""
        with readable():
            return self._codec.finish()

    def stop(self, held: bytes) -> bytes:
        """As `Codec` says."""
        with readable():
            return self._codec.stop(held)
