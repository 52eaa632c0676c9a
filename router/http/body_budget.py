"""What the bodies of all requests of a port hold together."""

# A body up to here is taken even where the budget is spent: a few large ones must not shut the port for small ones.
_SMALL = 64 * 1024


class BodyBudget:
    """Bytes of bodies that are kept, `limit_bytes` at most beside small ones. `held_bytes`: how many there are."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self.held_bytes = 0

    def take(self, size: int, whole: int) -> bool:
        """Whether `size` more bytes may be kept of a body that has `whole` with them. If so they count."""
        if whole > _SMALL and self.held_bytes + size > self._limit_bytes:
            return False
        self.held_bytes += size
        return True

    def give_back(self, size: int) -> None:
        """Takes note that so many bytes are kept no more."""
        self.held_bytes -= size
