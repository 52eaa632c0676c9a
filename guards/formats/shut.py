"""Reading of answers that fails shut: an answer that is not in its wire format is not let through."""

import contextlib
import logging
from collections.abc import Iterator

from patchbay.core.errors import GuardFailed
from patchbay.guards.formats.codec import Codec

_log = logging.getLogger("patchbay.guards")
# Raised where a list is in the place of an object, a number in that of a name, and so on at any depth.
_MISREAD = (AttributeError, TypeError, ValueError, LookupError, RecursionError)


@contextlib.contextmanager
def shut() -> Iterator[None]:
    """Reads an answer in the block. Raises GuardFailed where it is not in its format."""
    try:
        yield
    except _MISREAD as error:
        _log.warning("a guard cannot read an answer", exc_info=error)
        raise GuardFailed("The answer could not be read, so it was not let through.") from error


class ShutCodec:
    """Wraps a `Codec`: raises GuardFailed where `codec` cannot read what a replica sent."""

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
