"""The budget for the bodies that all requests of a port hold together."""

# A body up to this size is taken even when the budget is spent: a few large ones must not shut the port for small ones.
_SMALL = 64 * 1024


class BodyBudget:
    """Counts the bytes of bodies that are held: at most `limit_bytes`, beside small ones. `held_bytes`: their number
    now."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self.held_bytes = 0

    def take(self, size: int, whole: int) -> bool:
        """Takes `size` more bytes of a body that has `whole` with them. Returns whether there is room for them."""
        if whole > _SMALL and self.held_bytes + size > self._limit_bytes:
            return False
        self.held_bytes += size
        return True

    def give_back(self, size: int) -> None:
        """Returns `size` bytes to the budget."""
        self.held_bytes -= size
