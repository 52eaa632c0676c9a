"""An asyncio transport with nothing behind it, for protocols that are fed byte by byte."""

from collections.abc import Sequence


class Transport:
    """Keeps what is written until it is closed, as asyncio's own do. `reads`: whether it would read."""

    def __init__(self) -> None:
        self.written = b""
        self.closed = False
        self.reads = True

    def get_extra_info(self, name: str, default: object = None) -> object:
        """Knows nothing of the socket."""
        return default

    def write(self, data: bytes) -> None:
        """Keeps `data`."""
        if not self.closed:
            self.written += data

    def writelines(self, parts: Sequence[bytes]) -> None:
        """Keeps all of `parts`."""
        self.write(b"".join(parts))

    def is_closing(self) -> bool:
        """Whether it was closed."""
        return self.closed

    def close(self) -> None:
        """Takes no more."""
        self.closed = True

    abort = close

    def pause_reading(self) -> None:
        """Reads nothing from now on."""
        self.reads = False

    def resume_reading(self) -> None:
        """Reads again."""
        self.reads = True
