"""What is no answer as a wire format has it is not let through: whatever goes wrong in reading it."""

import contextlib
import logging
from collections.abc import Iterator

from patchbay.core.errors import GuardFailed
from patchbay.guards.formats.codec import Codec

_log = logging.getLogger("patchbay.guards")
# Raised where a list stands for an object, a number for a name, and so on at any depth: a replica may send anything.
_MISREAD = (AttributeError, TypeError, ValueError, LookupError, RecursionError)


@contextlib.contextmanager
def shut() -> Iterator[None]:
    """Raises GuardFailed where reading an answer goes wrong within it."""
    try:
        yield
    except _MISREAD as error:
        _log.warning("a guard cannot read an answer", exc_info=error)
        raise GuardFailed("The answer could not be read, so it was not let through.") from error


class ShutCodec:
    """A `Codec` that does what `codec` does, and raises GuardFailed where that cannot read what came."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec

    def feed(self, events: bytes) -> bytes:
        """As `Codec` says."""
        with shut():
            return self._codec.feed(events)

    def finish(self) -> bytes:
        """As `Codec` says."""
        with shut():
            return self._codec.finish()

    def stop(self, held: bytes) -> bytes:
        """As `Codec` says."""
        with shut():
            return self._codec.stop(held)
