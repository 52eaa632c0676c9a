"""Reading of answers that fails shut: an answer that is not in its wire format is not let through."""

import contextlib
import logging
from collections.abc import Iterator

import msgspec

from patchbay.core.errors import AnswerUnreadable
from patchbay.guards.formats.codec import Codec

_log = logging.getLogger("patchbay.guards")
# Raised where a list is in the place of an object, a number in that of a name, and so on at any depth.
_MISREAD = (AttributeError, TypeError, LookupError, ValueError, ArithmeticError, RecursionError, msgspec.MsgspecError)


@contextlib.contextmanager
def shut() -> Iterator[None]:
    """Reads an answer in the block. Raises AnswerUnreadable where it is not in its format."""
    try:
        yield
    except _MISREAD as error:
        # Not the error's text, which may quote the answer.
        _log.warning("a guard cannot read an answer: %s", type(error).__name__)
        raise AnswerUnreadable from error


class ShutCodec:
    """Wraps a `Codec`: raises AnswerUnreadable where `codec` cannot read what a replica sent."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec

    def feed(self, events: bytes) -> bytes:
        """See `Codec`."""
        with shut():
            return self._codec.feed(events)

    def finish(self) -> bytes:
        """See `Codec`."""
        with shut():
            return self._codec.finish()

    def stop(self, held: bytes) -> bytes:
        """See `Codec`."""
        with shut():
            return self._codec.stop(held)
